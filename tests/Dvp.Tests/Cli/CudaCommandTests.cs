using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Dvp.Engine.IO;
using Xunit;

namespace Dvp.Tests.Cli;

/// <summary>
/// Every command that computes, with <c>--device cuda</c> in a process of its own: it does what <c>--device cpu</c> does, and its JSON shows
/// which device did it.
/// </summary>
[Requires(Capability.CudaDevice)]
public sealed partial class CudaCommandTests(TinyExperiment tiny) : IClassFixture<TinyExperiment>
{
    private static readonly string[] s_cpu = ["--device", "cpu", "--threads", "2", "--json"];

    /// <summary>What a short training on the CPU has left: the same for all tests.</summary>
    private static readonly Lock s_lock = new();

    [Fact]
    public void Features_are_those_of_the_CPU()
    {
        string[] command = ["features", "--vision-model", tiny.VisionModel, "--data", tiny.Data, "--batch", "8", "--output"];
        OnCpu([.. command, tiny["features-cpu"]]);
        JsonElement result = OnCuda("f32", [.. command, tiny["features-cuda"]]);
        Assert.Equal(Directory.GetFiles(Path.Combine(tiny.Data, "images")).Length, result.GetProperty("pictures").GetInt32());
        string[] shards = [.. Directory.GetFiles(tiny["features-cuda"], "*.safetensors")];
        Assert.NotEmpty(shards);
        Assert.All(shards, shard => Same(shard, Path.Combine(tiny["features-cpu"], Path.GetFileName(shard)), "--rtol", "2e-3", "--atol", "1e-3")); // stored in f16
    }

    [Theory]
    [InlineData("f32", 1e-4, 2e-3)]
    [InlineData(null, 3e-2, 0.3)] // bf16, the device's own type
    public void Train_takes_the_steps_of_the_CPU(string? type, double lossTolerance, double weightTolerance)
    {
        string[] settings = ["--layer", "1", "--steps", "3", "--batch", "4", "--evaluate-every", "1", "--features", Features()];
        ToolRun cpu = Finished(Tool.Run([.. tiny.Experiment("train", $"train-cpu-{type}"), .. settings, .. s_cpu]));
        ToolRun cuda = Finished(Cuda(type, [.. tiny.Experiment("train", $"train-cuda-{type}"), .. settings]));
        AssertProof(cuda.Json, type ?? "bf16");
        double[] expected = Losses(cpu.Error), losses = Losses(cuda.Error);
        Assert.Equal(3, losses.Length);
        for (int i = 0; i < losses.Length; i++)
        {
            Assert.Equal(expected[i], losses[i], lossTolerance * expected[i]);
        }

        string trained = cuda.Json.GetProperty("dvp").GetString()!;
        Assert.Equal(0, Tool.Run("inspect", trained, "--model", tiny.LanguageModel).Code);
        AssertClose(Path.Combine(trained, "dvp.safetensors"), Path.Combine(cpu.Json.GetProperty("dvp").GetString()!, "dvp.safetensors"), weightTolerance);
    }

    [Fact]
    public void Train_in_f16_shows_its_loss_scale()
    {
        ToolRun run = Finished(Cuda("f16", [.. tiny.Experiment("train", "train-f16"), "--layer", "1", "--steps", "3", "--batch", "4", "--features", Features()]));
        AssertProof(run.Json, "f16");
        Assert.Contains("  loss scale ", run.Error, StringComparison.Ordinal);
        int skipped = run.Json.GetProperty("skipped_steps").GetInt32();
        Assert.Equal(Math.ScaleB(65536, -skipped), run.Json.GetProperty("loss_scale").GetDouble());
        Assert.Contains("loss scale after train", File.ReadAllText(run.Json.GetProperty("report").GetString()!), StringComparison.Ordinal);
    }

    [Fact]
    public void Search_draws_and_scores_as_on_the_CPU()
    {
        string[] settings = ["--search-steps", "2", "--samples", "2", "--features", Features()];
        JsonElement cpu = OnCpu([.. tiny.Experiment("search", "search-cpu"), .. settings]);
        JsonElement cuda = OnCuda("f32", [.. tiny.Experiment("search", "search-cuda"), .. settings]);
        Assert.Equal(cpu.GetProperty("layer").GetInt32(), cuda.GetProperty("layer").GetInt32());
        JsonElement[] expected = [.. cpu.GetProperty("layers").EnumerateArray()], layers = [.. cuda.GetProperty("layers").EnumerateArray()];
        Assert.Equal(3, layers.Length);
        for (int i = 0; i < layers.Length; i++)
        {
            foreach (string name in (string[])["layer", "draws", "mean_score", "probability"])
            {
                Assert.Equal(expected[i].GetProperty(name).GetDouble(), layers[i].GetProperty(name).GetDouble(), 1e-4);
            }
        }
    }

    [Fact]
    public void Eval_gives_the_answers_of_the_CPU()
    {
        string[] command = [.. tiny.Models("eval"), "--data", tiny.Data, "--features", Features(), "--dvp", Dvp(), "--output"];
        JsonElement cpu = OnCpu([.. command, tiny["answers-cpu.json"]]);
        JsonElement cuda = OnCuda("f32", [.. command, tiny["answers-cuda.json"]]);
        Assert.Equal(10, cuda.GetProperty("questions").GetInt32());
        Assert.Equal(cpu.GetProperty("accuracy").GetDouble(), cuda.GetProperty("accuracy").GetDouble());
        Assert.Equal(File.ReadAllText(tiny["answers-cpu.json"]), File.ReadAllText(tiny["answers-cuda.json"]));
    }

    [Theory]
    [InlineData("f32", 1e-5)]
    [InlineData(null, 3e-2)]
    public void Predict_gives_the_probabilities_of_the_CPU(string? type, double tolerance)
    {
        string[] command = [.. tiny.Models("predict"), "--dvp", Dvp(), "--image", tiny.Picture, "--question", "what shape is in the image?", "--top", "100"];
        Dictionary<string, double> expected = Probabilities(OnCpu(command));
        Dictionary<string, double> found = Probabilities(OnCuda(type, [.. command, "--heatmap", tiny["where.svg"]]));
        Assert.Equal(expected.Keys.Order(), found.Keys.Order());
        Assert.All(expected, e => Assert.Equal(e.Value, found[e.Key], tolerance));
        Assert.True(new FileInfo(tiny["where.svg"]).Length > 500);
    }

    [Fact]
    public void Forward_passes_the_golden_case()
    {
        string golden = Fixtures.Path("dvp-bert/adapter-vqa-k2");
        JsonElement cuda = OnCuda(
            "f32", "forward", "--model", Path.Combine(golden, "model"), "--dvp", golden, "--inputs", Path.Combine(golden, "inputs.safetensors"),
            "--output", tiny["forward.safetensors"], "--gradients");
        Assert.Contains("logits", cuda.GetProperty("tensors").EnumerateArray().Select(t => t.GetString()));
        Same(tiny["forward.safetensors"], Path.Combine(golden, "expected.safetensors"), "--case", golden);
    }

    [Fact]
    public void Quickstart_goes_through_to_the_report()
    {
        JsonElement cpu = OnCpu([.. tiny.Experiment("quickstart", "quickstart-cpu"), .. TinyRun.Settings, "--features", Features()]);
        JsonElement cuda = OnCuda("f32", [.. tiny.Experiment("quickstart", "quickstart-cuda"), .. TinyRun.Settings, "--features", Features()]);
        foreach (string name in (string[])["layer", "accuracy", "accuracy_text_only", "accuracy_majority"])
        {
            Assert.Equal(cpu.GetProperty(name).GetDouble(), cuda.GetProperty(name).GetDouble());
        }

        Assert.Contains("cuda:0", File.ReadAllText(cuda.GetProperty("report").GetString()!));
    }

    private static JsonElement OnCpu(params string[] args) => Finished(Tool.Run([.. args, .. s_cpu])).Json;

    private static JsonElement OnCuda(string? type, params string[] args)
    {
        JsonElement result = Finished(Cuda(type, args)).Json;
        AssertProof(result, type ?? "bf16");
        return result;
    }

    private static ToolRun Cuda(string? type, string[] args) =>
        CommandProcess.Run(CommandProcess.OnCuda(), [.. args, "--device", "cuda", .. type is null ? Array.Empty<string>() : ["--dtype", type], "--json"]);

    private static ToolRun Finished(ToolRun run)
    {
        Assert.True(run.Code == 0, run.Error);
        return run;
    }

    /// <summary>Name, launches and bytes of a GPU.</summary>
    private static void AssertProof(JsonElement result, string type)
    {
        JsonElement device = result.GetProperty("device");
        string name = device.GetProperty("name").GetString()!;
        Assert.StartsWith("cuda:0 (", name);
        Assert.EndsWith($", {type})", name);
        Assert.All((string[])["launches", "uploads", "downloads", "bytes_copied", "peak_bytes_allocated"], n => Assert.True(device.GetProperty(n).GetInt64() > 0, n));
    }

    private static void Same(string actual, string expected, params string[] rules)
    {
        ToolRun diff = Tool.Run(["diff", actual, expected, .. rules]);
        Assert.True(diff.Code == 0, diff.Out + diff.Error);
    }

    /// <summary>Every tensor within a share of its own length: AdamW makes steps of the same size from gradients that are all rounding.</summary>
    private static void AssertClose(string actual, string expected, double tolerance)
    {
        TensorArchive a = TensorArchive.Load(actual), b = TensorArchive.Load(expected);
        Assert.Equal(b.Names.Order(), a.Names.Order());
        foreach (string name in b.Names)
        {
            float[] x = a.Floats(name), y = b.Floats(name);
            double apart = Math.Sqrt(x.Zip(y, (p, q) => ((double)p - q) * ((double)p - q)).Sum()), length = Math.Sqrt(y.Sum(q => (double)q * q));
            Assert.True(apart <= tolerance * length, string.Create(CultureInfo.InvariantCulture, $"{name}: {apart} apart, length {length}"));
        }
    }

    private static double[] Losses(string progress) =>
        [.. LossOfStep().Matches(progress).Select(m => double.Parse(m.Groups[1].ValueSpan, CultureInfo.InvariantCulture))];

    private static Dictionary<string, double> Probabilities(JsonElement result) => result.GetProperty("answers").EnumerateArray()
        .ToDictionary(a => a.GetProperty("answer").GetString()!, a => a.GetProperty("probability").GetDouble());

    /// <summary>Features made on the CPU: what follows differs by the command alone.</summary>
    private string Features()
    {
        lock (s_lock)
        {
            string store = tiny["features"];
            if (!Directory.Exists(store))
            {
                OnCpu("features", "--vision-model", tiny.VisionModel, "--data", tiny.Data, "--output", store);
            }

            return store;
        }
    }

    private string Dvp()
    {
        string features = Features();
        lock (s_lock)
        {
            string run = tiny["trained"];
            if (!Directory.Exists(run))
            {
                OnCpu([.. tiny.Experiment("train", "trained"), "--layer", "1", "--steps", "20", "--batch", "4", "--evaluate-every", "0", "--features", features]);
            }

            return Path.Combine(run, "dvp");
        }
    }

    [GeneratedRegex(@"train: step \d+/\d+  loss ([0-9.]+)")]
    private static partial Regex LossOfStep();
}
