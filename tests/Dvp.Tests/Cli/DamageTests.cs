using System.Text.Json.Nodes;
using Dvp.Engine.IO;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cli;

/// <summary>Damaged inputs: one sentence that names the file, a code that is not 0, and what was there before stays.</summary>
public sealed class DamageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_truncated_model()
    {
        string model = Model();
        string weights = Path.Combine(model, "model.safetensors");
        File.WriteAllBytes(weights, File.ReadAllBytes(weights)[..^64]);
        AssertForwardFails("model.safetensors");
        AssertInspected("model.safetensors");
    }

    [Fact]
    public void A_model_without_weights()
    {
        File.Delete(Path.Combine(Model(), "model.safetensors"));
        AssertForwardFails("model.safetensors");
        AssertInspected("model.safetensors");
    }

    [Fact]
    public void A_tensor_of_another_shape()
    {
        Rewrite((name, values, shape) => name == "encoder.layer.0.output.dense.bias" ? (values[1..], [shape[0] - 1]) : (values, shape));
        AssertForwardFails("encoder.layer.0.output.dense.bias");
        AssertInspected("encoder.layer.0.output.dense.bias");
    }

    [Fact]
    public void A_tensor_that_is_missing()
    {
        Rewrite((name, values, shape) => name == "encoder.layer.0.output.dense.bias" ? null : (values, shape));
        AssertForwardFails("encoder.layer.0.output.dense.bias");
    }

    [Fact]
    public void A_weight_that_is_no_number()
    {
        Rewrite((name, values, shape) =>
        {
            if (name == "encoder.layer.0.output.dense.weight")
            {
                values[7] = float.NaN;
            }

            return (values, shape);
        });
        AssertForwardFails("encoder.layer.0.output.dense.weight");
        AssertInspected("encoder.layer.0.output.dense.weight");
    }

    [Theory]
    [InlineData("hidden_act", "\"swish-ish\"")]
    [InlineData("num_hidden_layers", "0")]
    [InlineData("num_hidden_layers", "\"two\"")]
    [InlineData("model_type", "\"parrot\"")]
    [InlineData("num_attention_heads", "7")]
    public void A_config_with_an_unknown_value(string key, string value)
    {
        string file = Path.Combine(Model(), "config.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(file))!;
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(file, config.ToJsonString());
        AssertForwardFails(key == "model_type" ? "parrot" : key);
        AssertInspected(key == "model_type" ? "parrot" : key);
    }

    [Fact]
    public void A_config_that_is_no_json()
    {
        File.WriteAllText(Path.Combine(Model(), "config.json"), "{ \"model_type\": ");
        AssertForwardFails("config.json");
        AssertInspected("config.json");
    }

    [Fact]
    public void A_dvp_of_another_language_model()
    {
        Model();
        string dvp = Dvp(config => config["fingerprints"] = new JsonObject { ["language_model"] = "sha256:0000", ["vision_model"] = "" });
        AssertForwardFails("sha256:0000", "--dvp", dvp);
        ToolRun run = Tool.Run("inspect", dvp, "--model", _folder["model"]);
        Assert.Equal(1, run.Code);
        Assert.Contains("sha256:0000", run.Out);
        Assert.Equal(0, Tool.Run([.. Forward(), "--dvp", dvp, "--force"]).Code);
    }

    [Theory]
    [InlineData("loss", "\"hinge\"")]
    [InlineData("layer", "17")]
    [InlineData("language_model_type", "\"gpt\"")]
    [InlineData("format_version", "99")]
    public void A_dvp_config_with_an_unknown_value(string key, string value)
    {
        Model();
        string dvp = Dvp(config => config[key] = JsonNode.Parse(value));
        AssertForwardFails(key == "layer" ? "Layer 17" : key, "--dvp", dvp);
    }

    [Fact]
    public void Inputs_that_are_no_tensors()
    {
        Model();
        File.WriteAllText(_folder["inputs.safetensors"], "these are no tensors");
        AssertForwardFails("inputs.safetensors");
    }

    [Fact]
    public void Inputs_that_lack_what_the_model_reads()
    {
        Model();
        TensorArchive wrong = new();
        wrong.Add("pixel_values", [1f], 1);
        wrong.Save(_folder["inputs.safetensors"]);
        AssertForwardFails("input_ids");
    }

    [Fact]
    public void A_disk_that_is_full()
    {
        Model();
        string[] arguments = Forward();
        arguments[Array.IndexOf(arguments, "--output") + 1] = "/dev/full";
        Tool.AssertFails(2, "disk is full", arguments);
    }

    [Theory]
    [InlineData("truncated.png")]
    [InlineData("text.png")]
    [InlineData("empty.png")]
    public void A_picture_that_is_none(string name)
    {
        byte[] whole = File.ReadAllBytes(Fixtures.Path("images/png-rgb/image.png"));
        File.WriteAllBytes(_folder[name], name == "truncated.png" ? whole[..^40] : name == "text.png" ? "a text"u8.ToArray() : []);
        File.WriteAllText(_folder["out.safetensors"], "earlier");
        Tool.AssertFails(2, name, "preprocess", "--image", _folder[name], "--output", _folder["out.safetensors"]);
        Assert.Equal("earlier", File.ReadAllText(_folder["out.safetensors"]));
        ToolRun run = Tool.Run("inspect", _folder[name]);
        Assert.Equal(1, run.Code);
        Assert.Contains(name, run.Out);
    }

    [Fact]
    public void A_folder_that_holds_nothing_known()
    {
        ToolRun run = Tool.Run("inspect", _folder.Root);
        Assert.Equal(1, run.Code);
        Assert.Contains("no folder that this program reads", run.Out);
    }

    [Fact]
    public void A_data_set_that_lacks_a_picture()
    {
        using TinyRun tiny = new();
        string picture = Directory.GetFiles(Path.Combine(tiny.Data, "images")).Order(StringComparer.Ordinal).First();
        File.Delete(picture);
        AssertDataFails(tiny, Path.GetFileName(picture));
    }

    [Fact]
    public void A_data_set_with_a_broken_picture()
    {
        using TinyRun tiny = new();
        string picture = Directory.GetFiles(Path.Combine(tiny.Data, "images"))[0];
        File.WriteAllText(picture, "no picture");
        Tool.AssertFails(2, Path.GetFileName(picture), Features(tiny));
        Assert.False(Directory.Exists(tiny["features"]));
    }

    [Theory]
    [InlineData("questions_train.json")]
    [InlineData("annotations_test.json")]
    [InlineData("dataset.json")]
    public void A_data_set_with_a_truncated_file(string name)
    {
        using TinyRun tiny = new();
        string file = Path.Combine(tiny.Data, name);
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^20]);
        AssertDataFails(tiny, name);
    }

    [Fact]
    public void An_empty_question()
    {
        using TinyRun tiny = new();
        ToolRun run = Tool.Run(
            [.. tiny.Arguments("train", "run"), "--layer", "0", "--steps", "1", "--batch", "2", "--evaluate-every", "0", "--json"]);
        Assert.True(run.Code == 0, run.Error);
        Tool.AssertFails(
            2, "The question is empty", "predict", "--dvp", run.Json.GetProperty("dvp").GetString()!, "--language-model",
            TinyRun.LanguageModel,
            "--vision-model", TinyRun.VisionModel, "--image", Directory.GetFiles(Path.Combine(tiny.Data, "images"))[0], "--question", " ");
    }

    private static string Golden => Fixtures.Path("dvp-bert/adapter-vqa-k2");

    private string Model()
    {
        string model = _folder["model"];
        Directory.CreateDirectory(model);
        foreach (string file in Directory.GetFiles(Path.Combine(Golden, "model")))
        {
            File.Copy(file, Path.Combine(model, Path.GetFileName(file)));
        }

        File.Copy(Path.Combine(Golden, "inputs.safetensors"), _folder["inputs.safetensors"]);
        File.WriteAllText(_folder["out.safetensors"], "earlier");
        return model;
    }

    private string Dvp(Action<JsonNode> change)
    {
        string dvp = _folder["dvp"];
        Directory.CreateDirectory(dvp);
        File.Copy(Path.Combine(Golden, "dvp.safetensors"), Path.Combine(dvp, "dvp.safetensors"));
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(Golden, "dvp_config.json")))!;
        change(config);
        File.WriteAllText(Path.Combine(dvp, "dvp_config.json"), config.ToJsonString());
        return dvp;
    }

    private void Rewrite(Func<string, float[], int[], (float[] Values, int[] Shape)?> change)
    {
        string weights = Path.Combine(Model(), "model.safetensors");
        TensorArchive changed = new();
        using (SafetensorsFile file = new(weights))
        {
            foreach (string name in file.Names)
            {
                float[] values = new float[file[name].Count];
                file.ReadFloats(name, values);
                if (change(name.StartsWith("bert.", StringComparison.Ordinal) ? name[5..] : name, values, file[name].Shape) is { } kept)
                {
                    changed.Add(name, kept.Values, kept.Shape);
                }
            }
        }

        changed.Save(weights);
    }

    private string[] Forward() =>
        ["forward", "--model", _folder["model"], "--inputs", _folder["inputs.safetensors"], "--output", _folder["out.safetensors"]];

    private void AssertForwardFails(string names, params string[] more)
    {
        Tool.AssertFails(2, names, [.. Forward(), .. more]);
        Assert.Equal("earlier", File.ReadAllText(_folder["out.safetensors"]));
    }

    private static string[] Features(TinyRun tiny) =>
        ["features", "--vision-model", TinyRun.VisionModel, "--data", tiny.Data, "--output", tiny["features"]];

    private static void AssertDataFails(TinyRun tiny, string names)
    {
        Tool.AssertFails(2, names, Features(tiny));
        Assert.False(Directory.Exists(tiny["features"]));
        ToolRun run = Tool.Run("inspect", tiny.Data);
        Assert.Equal(1, run.Code);
        Assert.Contains(names, run.Out);
    }

    private void AssertInspected(string names)
    {
        ToolRun run = Tool.Run("inspect", _folder["model"]);
        Assert.Equal(1, run.Code);
        Assert.Contains(names, run.Out);
    }
}
