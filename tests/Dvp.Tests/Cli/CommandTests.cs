using System.Text.Json;
using Dvp.Engine.IO;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cli;

public sealed class CommandTests
{
    private static string Sample(string path) => Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa", path);

    [Fact]
    public void Diff_of_equal_files_succeeds()
    {
        using TemporaryFolder folder = new();
        Write(folder["a.safetensors"], 1);
        ToolRun run = Tool.Run("diff", folder["a.safetensors"], folder["a.safetensors"]);
        Assert.Equal(0, run.Code);
        Assert.Contains("2 tensors within tolerance", run.Out);
    }

    [Fact]
    public void Diff_names_the_first_state_over_tolerance_and_where()
    {
        using TemporaryFolder folder = new();
        Write(folder["a.safetensors"], 1.5f);
        Write(folder["b.safetensors"], 1);
        ToolRun run = Tool.Run("diff", folder["a.safetensors"], folder["b.safetensors"]);
        Assert.Equal(1, run.Code);
        Assert.StartsWith("First difference: hidden_states.0: 1 of 4", run.Out);
        Assert.Contains("[1, 0]", run.Out);
        JsonElement json = Tool.Run("diff", folder["a.safetensors"], folder["b.safetensors"], "--json").Json;
        Assert.False(json.GetProperty("passed").GetBoolean());
        Assert.Equal("hidden_states.0", json.GetProperty("first").GetString());
        JsonElement first = json.GetProperty("tensors")[0];
        Assert.Equal([1, 0], first.GetProperty("first_over").EnumerateArray().Select(v => v.GetInt32()));
        Assert.Equal(1.5, first.GetProperty("actual").GetDouble());
        Assert.Equal(0, Tool.Run("diff", folder["a.safetensors"], folder["b.safetensors"], "--atol", "0.6").Code);
    }

    [Fact]
    public void Forward_of_a_golden_case_passes_diff_by_its_own_rules()
    {
        using TemporaryFolder folder = new();
        string golden = Fixtures.Path("dvp-bert/adapter-vqa-k2");
        string output = folder["out.safetensors"];
        ToolRun run = Tool.Run(
            "forward", "--model", Path.Combine(golden, "model"), "--dvp", golden, "--inputs", Path.Combine(golden, "inputs.safetensors"),
            "--output", output, "--gradients", "--device", "cpu", "--threads", "2", "--json");
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.Code);
        Assert.StartsWith("cpu (2 threads", run.Json.GetProperty("device").GetProperty("name").GetString());
        Assert.True(run.Json.GetProperty("device").GetProperty("peak_bytes_allocated").GetInt64() > 0);
        Assert.Contains("logits", run.Json.GetProperty("tensors").EnumerateArray().Select(t => t.GetString()));
        ToolRun diff = Tool.Run("diff", output, Path.Combine(golden, "expected.safetensors"), "--case", golden);
        Assert.True(diff.Code == 0, diff.Out + diff.Error);
    }

    [Fact]
    public void Preprocess_writes_every_step()
    {
        using TemporaryFolder folder = new();
        string output = folder["o.safetensors"];
        string image = Fixtures.Path("images/png-rgb/image.png");
        ToolRun run = Tool.Run("preprocess", "--image", image, "--size", "24", "--transform", "hf", "--output", output, "--json");
        Assert.Equal(0, run.Code);
        Assert.Equal(24, run.Json.GetProperty("size").GetInt32());
        using SafetensorsFile ours = new(output);
        using SafetensorsFile golden = new(Fixtures.Path("images/png-rgb/expected.safetensors"));
        Assert.Equal(["decoded", "normalised", "resized"], ours.Names.Order());
        Assert.Equal(golden.Bytes("decoded"), ours.Bytes("decoded"));
        Assert.Equal(golden.Bytes("resized.24"), ours.Bytes("resized"));
        Assert.Equal([3, 24, 24], ours.ShapeOf("normalised"));
    }

    [Fact]
    public void Preprocess_refuses_what_is_larger_than_allowed()
    {
        using TemporaryFolder folder = new();
        Tool.AssertFails(
            2, "image.png", "preprocess", "--image", Fixtures.Path("images/png-rgb/image.png"), "--max-pixels", "10", "--output",
            folder["o.safetensors"]);
        Assert.Empty(folder.FileNames);
    }

    [Theory]
    [InlineData("language-model", "languagemodel")]
    [InlineData("vision-model", "visionmodel")]
    [InlineData("data", "data")]
    [InlineData("language-model/model.safetensors", "tensors")]
    public void Inspect_names_the_parts_of_the_sample(string path, string kind)
    {
        ToolRun run = Tool.Run("inspect", Sample(path), "--json");
        Assert.Equal(0, run.Code);
        Assert.Equal(kind, run.Json.GetProperty("kind").GetString());
        Assert.Equal(0, run.Json.GetProperty("problems").GetArrayLength());
        Assert.NotEmpty(run.Json.GetProperty("facts").EnumerateObject());
        Assert.Contains("Nothing is wrong", Tool.Run("inspect", Sample(path)).Out);
    }

    [Fact]
    public void Doctor_checks_a_computation()
    {
        ToolRun run = Tool.Run("doctor", "--json");
        Assert.Equal(0, run.Code);
        Assert.True(run.Json.GetProperty("healthy").GetBoolean());
        string[] sections =
            [.. run.Json.GetProperty("findings").EnumerateArray().Select(f => f.GetProperty("section").GetString()!).Distinct()];
        Assert.Equal(["cpu", "memory", "disk", "program", "cuda", "check"], sections);
        Assert.Contains(" is right ", run.Out);
    }

    [Fact]
    public void Flops_lists_the_three_forms_and_both_savings()
    {
        ToolRun run = Tool.Run("flops", "--bert-base", "--layer", "11", "--json");
        Assert.Equal(0, run.Code);
        JsonElement[] totals = [.. run.Json.GetProperty("totals").EnumerateArray()];
        Assert.Equal(4, totals.Length);
        Assert.All(totals, t => Assert.True(
            t.GetProperty("absorbed").GetDouble() < t.GetProperty("projected").GetDouble()
            && t.GetProperty("projected").GetDouble() < t.GetProperty("all_tokens").GetDouble()));
        Assert.Equal(3, run.Json.GetProperty("forms").GetArrayLength());

        // Absorbed prompt attention is 12 MFLOP a picture where projected keys and values are 465 + 3 (see the mathematics).
        double saved = totals[0].GetProperty("projected").GetDouble() - totals[0].GetProperty("absorbed").GetDouble();
        Assert.InRange(saved / 1e6, 440, 470);
        Assert.Contains("total", Tool.Run("flops", "--layer", "0").Out);
        Tool.AssertFails(2, "layer", "flops", "--layer", "12");
    }

    private static void Write(string path, float second)
    {
        TensorArchive archive = new();
        archive.Add("hidden_states.0", [1f, 0.5f, second, 0.25f], 2, 2);
        archive.Add("logits", [1f, 2f], 1, 2);
        archive.Save(path);
    }
}
