using System.Text.Json.Nodes;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Prompting;
using Dvp.Tests.IO;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>
/// DVP folders: what was saved is loaded bit for bit; what is damaged or does not fit is refused by name; a full disk changes nothing.
/// </summary>
public sealed class DvpFolderTests : IDisposable
{
    private static readonly TinyBert s_bert = new();
    private readonly TemporaryFolder _folder = new();
    private readonly CpuBackend _device = new(1);
    private readonly string _model;
    private readonly string _dvp;

    public DvpFolderTests()
    {
        _model = s_bert.Write(_folder["model"]);
        _dvp = _folder["dvp"];
        using LoadedDvp loaded = Create(1);
        loaded.Save(_dvp);
    }

    public void Dispose()
    {
        _device.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(1, true, PromptKind.Dynamic)]
    [InlineData(null, false, PromptKind.Dynamic)]
    [InlineData(2, false, PromptKind.AllTokens)]
    [InlineData(0, true, PromptKind.MeanPooled)]
    [InlineData(null, true, PromptKind.None)]
    public void What_was_saved_is_loaded(int? layer, bool adapters, PromptKind kind)
    {
        bool search = layer is null && kind != PromptKind.None;
        DvpConfig config = TinyDvp.Config(s_bert, search ? null : layer ?? 0, adapters, kind) with
        {
            Answers = ["red", "blue", "no", "ja \"so\""],
            TextLength = 9,
        };
        using LoadedDvp made = TinyDvp.Create(_model, config, _device, seed: 9);
        foreach (Parameter parameter in made.Parameters.Trained)
        {
            _device.Upload(parameter.Value, (float[])[.. _device.Floats(parameter.Value).Select(v => v + 0.25f)]);
        }

        made.Save(_dvp);
        using LoadedDvp loaded = LoadedDvp.Load(_model, _dvp, _device);
        Assert.Equal(made.Parameters.All.Select(p => p.Name), loaded.Parameters.All.Select(p => p.Name));
        Assert.All(made.Parameters.All, p => Assert.Equal(_device.Floats(p.Value), _device.Floats(loaded.Parameters[p.Name].Value)));
        Assert.Equal(config.ToJson(), loaded.Model.Config.ToJson());
        Assert.Empty(loaded.Parameters.Trained);
    }

    [Fact]
    public void A_writer_killed_between_its_renames_leaves_the_previous_folder()
    {
        Directory.Move(_dvp, _dvp + ".previous");
        using LoadedDvp loaded = LoadedDvp.Load(_model, _dvp, _device);
        Assert.Equal(1, loaded.Model.Config.Layer);
        Assert.Equal(1, DvpConfig.Load(_dvp).Layer);
        Expect.Error("nowhere does not exist", () => DvpConfig.Load(_folder["nowhere"]));
    }

    [Fact]
    public void Another_language_model_is_refused_unless_forced()
    {
        using (LoadedDvp loaded = Create(1))
        {
            loaded.Save(_dvp, loaded.Model.Config with { LanguageModelFingerprint = Fingerprint.OfModel(_model) });
        }

        LoadedDvp.Load(_model, _dvp, _device).Dispose();
        string other = (s_bert with { Seed = 2 }).Write(_folder["other"]);
        Expect.Error("was trained on the language model", () => LoadedDvp.Load(other, _dvp, _device));
        LoadedDvp.Load(other, _dvp, _device, new LoadOptions { Force = true }).Dispose();
        string wider = (s_bert with { Channels = 12 }).Write(_folder["wider"]);
        Expect.Error("of another shape", () => LoadedDvp.Load(wider, _dvp, _device, new LoadOptions { Force = true }));
    }

    [Fact]
    public void Tensors_that_are_missing_unexpected_or_of_another_shape_are_named()
    {
        Refuse(["1 tensor missing (head.0.bias)"], t => t.Remove("head.0.bias"));
        Refuse(["1 tensor missing (adapters.3.up.weight)"], t => t.Remove("adapters.3.up.weight"));
        Refuse(["1 tensor not expected (prompt.extra)"], t => t["prompt.extra"] = ([2], [1, 2]));
        Refuse(["prompt.linear_q.weight is", "must be"], t => t["prompt.linear_q.weight"] = ([2, 2], [1, 2, 3, 4]));
        Refuse(["token_type_embeddings.weight", "is not finite"], t => t["token_type_embeddings.weight"].Values[3] = float.NaN);
        Refuse(["head.3.weight", "is not finite"], t => t["head.3.weight"].Values[0] = float.PositiveInfinity);

        void Refuse(string[] parts, Action<Dictionary<string, (int[] Shape, float[] Values)>> change)
        {
            string damaged = CopyOfDvp();
            string file = Path.Combine(damaged, "dvp.safetensors");
            TensorArchive archive = TensorArchive.Load(file);
            Dictionary<string, (int[] Shape, float[] Values)> tensors =
                archive.Names.ToDictionary(n => n, n => (archive.ShapeOf(n).ToArray(), archive.Floats(n)));
            change(tensors);
            SafetensorsWriter.Write(file, tensors.Select(t => TensorContent.FromFloats(t.Key, t.Value.Shape, t.Value.Values)));
            DvpException error = Assert.Throws<DvpException>(() => LoadedDvp.Load(_model, damaged, _device));
            Assert.Contains(damaged, error.Message, StringComparison.Ordinal);
            Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.OrdinalIgnoreCase));
        }
    }

    [Fact]
    public void Files_that_are_missing_or_cut_off_are_named()
    {
        Refuse("does not exist", d => Directory.Delete(d, recursive: true));
        Refuse("dvp_config.json", d => File.Delete(Path.Combine(d, "dvp_config.json")));
        Refuse("dvp_config.json", d => Cut(Path.Combine(d, "dvp_config.json")));
        Refuse("safetensors", d => File.Delete(Path.Combine(d, "dvp.safetensors")));
        Refuse("dvp.safetensors", d => Cut(Path.Combine(d, "dvp.safetensors")));
        Refuse("dvp.safetensors", d => File.WriteAllBytes(Path.Combine(d, "dvp.safetensors"), []));

        void Refuse(string part, Action<string> damage)
        {
            string damaged = CopyOfDvp();
            damage(damaged);
            Expect.Error(part, () => LoadedDvp.Load(_model, damaged, _device));
        }

        static void Cut(string file) => File.WriteAllBytes(file, File.ReadAllBytes(file)[..^20]);
    }

    [Fact]
    public void Unknown_or_impossible_values_of_the_configuration_are_named()
    {
        Refuse("format_version", c => c["format_version"] = 2);
        Refuse("language_model_type", c => c["language_model_type"] = "gpt2");
        Refuse("loss", c => c["loss"] = "hinge");
        Refuse("prompt_kind", c => c["prompt_kind"] = "static");
        Refuse("hidden_size", c => c["prompt"]!["hidden_size"] = 7);
        Refuse("num_heads", c => c["prompt"]!["num_heads"] = 0);
        Refuse("dropout must be at least 0 and below 1", c => c["prompt"]!["dropout"] = 1);
        Refuse("dropout must be at least 0 and below 1", c => c["prompt"]!["dropout"] = -0.1);
        Refuse("activation", c => c["adapters"]!["activation"] = "sine");
        Refuse("num_labels", c => c["answers"] = new JsonArray("yes"));
        Refuse("layer", c => c["layer"] = null);
        Refuse("layer", c => c["layer"] = "first");
        Refuse("Layer 3 is outside the language model; choose an insertion layer from 0 to 2", c => c["layer"] = 3);
        Refuse("Layer -1 is outside", c => c["layer"] = -1);
        Refuse("search", c => c["search"] = new JsonObject { ["layers"] = new JsonArray() });
        Refuse("search", c => c["search"] = new JsonObject { ["layers"] = new JsonArray(1, 1) });
        Refuse("Layer 9 is outside", c => c["search"] = new JsonObject { ["layers"] = new JsonArray(0, 9) });
        Refuse("head", c => c.Remove("head"));

        void Refuse(string part, Action<JsonObject> change)
        {
            string damaged = CopyOfDvp();
            string file = Path.Combine(damaged, "dvp_config.json");
            JsonObject json = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
            change(json);
            File.WriteAllText(file, json.ToJsonString());
            Expect.Error(part, () => LoadedDvp.Load(_model, damaged, _device));
        }
    }

    [Theory]
    [InlineData(Activation.Relu)]
    [InlineData(Activation.Silu)]
    [InlineData(Activation.GeluErf)]
    [InlineData(Activation.GeluTanh)]
    [InlineData(Activation.QuickGelu)]
    [InlineData(Activation.Tanh)]
    public void Every_activation_of_the_adapters_is_saved_as_it_is(Activation activation)
    {
        DvpConfig config = TinyDvp.Config(s_bert, 1, adapters: true);
        string folder = Directory.CreateDirectory(_folder["config"]).FullName;
        File.WriteAllText(Path.Combine(folder, DvpConfig.FileName), (config with { Adapters = new AdapterConfig(3, activation) }).ToJson());
        Assert.Equal(activation, DvpConfig.Load(folder).Adapters!.Activation);
    }

    [Fact]
    public void A_layer_outside_the_model_is_refused_before_training() =>
        Expect.Error("Layer 5 is outside the language model", () => TinyDvp.Create(
            _model, TinyDvp.Config(s_bert, 5, adapters: true), _device));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_full_disk_leaves_the_saved_folder_as_it_was(int files)
    {
        byte[] weights = File.ReadAllBytes(Path.Combine(_dvp, "dvp.safetensors"));
        string config = File.ReadAllText(Path.Combine(_dvp, "dvp_config.json"));
        string[] names = [.. _folder.FileNames];
        using LoadedDvp other = Create(2);
        DvpException error = Assert.Throws<DvpException>(() => other.Save(_dvp, null, FullAfter(files)));
        Assert.Contains("dvp was not written: the disk is full; free some space", error.Message, StringComparison.Ordinal);
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(_dvp, "dvp.safetensors")));
        Assert.Equal(config, File.ReadAllText(Path.Combine(_dvp, "dvp_config.json")));
        Assert.Equal(names, _folder.FileNames);

        Assert.Throws<DvpException>(() => other.Save(_folder["new"], null, FullAfter(files)));
        Assert.Equal(names, _folder.FileNames);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_full_disk_leaves_the_checkpoint_as_it_was(int files)
    {
        using LoadedDvp loaded = Create(1);
        DvpConfig config = loaded.Model.Config;
        TrainerSettings settings = new() { Steps = 3, Batch = 4, LearningRate = 1e-2, Warmup = 0 };
        using StepRunner runner = new(
            loaded.Model, loaded.Parameters, TinyDvp.Examples(s_bert, 9, seed: 2), settings, TinyDvp.Groups(config));
        RunState state = new() { Settings = "s" };
        string folder = _folder["checkpoint"];
        Checkpoint.Save(folder, runner.Optimizer, _device, state);
        byte[] weights = File.ReadAllBytes(Path.Combine(folder, "state.safetensors"));
        string[] names = [.. _folder.FileNames];
        runner.Step(0, 1);
        Assert.Throws<DvpException>(() => Checkpoint.Save(folder, runner.Optimizer, _device, state, FullAfter(files)));
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(folder, "state.safetensors")));
        Assert.Equal(names, _folder.FileNames);
        Assert.NotNull(Checkpoint.Load(folder, runner.Optimizer, _device, "s"));
    }

    /// <summary>Lets the disk fill up after some files of the unfinished folder.</summary>
    private static Action<string> FullAfter(int files)
    {
        int written = 0;
        return _ =>
        {
            if (written++ == files)
            {
                throw FullDiskStream.NoSpace();
            }
        };
    }

    private LoadedDvp Create(int layer) => TinyDvp.Create(_model, TinyDvp.Config(s_bert, layer, adapters: true), _device);

    private string CopyOfDvp()
    {
        string copy = _folder[Guid.NewGuid().ToString("N")];
        Directory.CreateDirectory(copy);
        foreach (string file in Directory.GetFiles(_dvp))
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        return copy;
    }
}
