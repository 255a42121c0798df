using System.Text.Json;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cli;

/// <summary>What a fresh process loads before it computes on the CUDA device: of the compiler nothing, where its kernels are there.</summary>
[Requires(Capability.KernelHost)]
public sealed class ColdStartTests(TinyExperiment tiny) : IClassFixture<TinyExperiment>
{
    [Fact]
    public void With_a_warm_cache_the_compiler_is_never_loaded()
    {
        JsonElement first = Files(Train(CommandProcess.OnKernelHost(), "first", out _)); // compiles what nobody has compiled before it
        JsonElement second = Files(Train(CommandProcess.OnKernelHost(), "second", out IReadOnlyList<string> libraries));
        int needed = second.GetProperty("from_cache").GetInt32();
        Assert.True(needed >= 10, second.ToString());
        Assert.Equal(needed, first.GetProperty("from_cache").GetInt32() + first.GetProperty("compiled").GetInt32());
        AssertNothingCompiled(second, libraries);
    }

    [Fact]
    public void Kernels_built_beforehand_need_no_compiler_and_no_cache()
    {
        using TemporaryFolder folder = new();
        ToolRun build = CommandProcess.Run(
            CommandProcess.OnKernelHost(), "kernels", "build", "--arch", "sm_80", "--type", "f32", "--ptx", "none", "--out", folder["kernels"], "--json");
        Assert.True(build.Code == 0, build.Error);
        Assert.Equal(build.Json.GetProperty("files").GetInt32(), Directory.GetFiles(folder["kernels"]).Length);
        Dictionary<string, string> deployed = CommandProcess.OnKernelHost();
        deployed["DVP_NVRTC"] = folder["nowhere"];
        deployed["DVP_CACHE_MB"] = "0";
        deployed["DVP_KERNELS_DIR"] = folder["kernels"];
        JsonElement files = Files(Train(deployed, "deployed", out IReadOnlyList<string> libraries));
        Assert.True(files.GetProperty("built_beforehand").GetInt32() >= 10, files.ToString());
        Assert.Equal(0, files.GetProperty("from_cache").GetInt32());
        AssertNothingCompiled(files, libraries);
    }

    [Fact]
    public void Doctor_says_how_long_a_fresh_process_takes_to_its_first_launch()
    {
        ToolRun run = CommandProcess.Run(CommandProcess.OnKernelHost(), out IReadOnlyList<string> libraries, "doctor", "--timing", "--threads", "1", "--json");
        Assert.True(run.Code == 0, run.Out + run.Error);
        Assert.Contains(libraries, l => IsCompiler(l)); // which looks for the compiler, but only afterwards
        JsonElement[] findings = [.. run.Json.GetProperty("findings").EnumerateArray()];
        double[] milliseconds = [.. ((string[])["opening", "first launch on", "process start to first launch of"]).Select(name =>
        {
            JsonElement finding = Assert.Single(findings, f => f.GetProperty("name").GetString()!.StartsWith($"{name} cuda:0", StringComparison.Ordinal));
            Assert.Equal("timing", finding.GetProperty("section").GetString());
            string value = finding.GetProperty("value").GetString()!;
            Assert.EndsWith(" ms", value);
            return double.Parse(value[..^3], System.Globalization.CultureInfo.InvariantCulture);
        })];
        Assert.True(milliseconds[2] >= milliseconds[0] + milliseconds[1] - 2, string.Join(", ", milliseconds)); // each is rounded
    }

    private ToolRun Train(Dictionary<string, string> environment, string run, out IReadOnlyList<string> libraries)
    {
        ToolRun train = CommandProcess.Run(
            environment, out libraries,
            [.. tiny.Experiment("train", run), "--layer", "1", "--steps", "2", "--batch", "4", "--evaluate-every", "1", "--device", "cuda", "--dtype", "f32", "--json"]);
        Assert.True(train.Code == 0, train.Error);
        return train;
    }

    private static JsonElement Files(ToolRun run) => run.Json.GetProperty("device").GetProperty("kernel_files");

    private static void AssertNothingCompiled(JsonElement files, IReadOnlyList<string> libraries)
    {
        Assert.Equal(0, files.GetProperty("compiled").GetInt32());
        Assert.False(files.GetProperty("compiler_loaded").GetBoolean());
        Assert.Contains(libraries, l => Path.GetFileName(l).StartsWith("libcuda.so", StringComparison.Ordinal));
        Assert.DoesNotContain(libraries, l => IsCompiler(l));
    }

    private static bool IsCompiler(string library) => Path.GetFileName(library).StartsWith("libnvrtc", StringComparison.Ordinal);
}
