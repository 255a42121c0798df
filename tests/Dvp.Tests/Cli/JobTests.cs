using System.Text.Json;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cli;

/// <summary>The commands that train and answer, on a few questions.</summary>
public sealed class JobTests(TinyRun tiny) : IClassFixture<TinyRun>
{
    private string Picture => Directory.GetFiles(Path.Combine(tiny.Data, "images"))[0];

    [Fact]
    public void Quickstart_ends_with_one_object()
    {
        JsonElement result = tiny.Result;
        Assert.InRange(result.GetProperty("layer").GetInt32(), 0, 5);
        foreach (string name in new[] { "accuracy", "accuracy_text_only", "accuracy_majority" })
        {
            double value = result.GetProperty(name).GetDouble();
            double[] interval = [.. result.GetProperty(name + "_interval").EnumerateArray().Select(v => v.GetDouble())];
            Assert.InRange(value, interval[0], interval[1]);
            Assert.InRange(value, 0, 100);
        }

        Assert.Superset(
            new HashSet<string> { "features", "search", "train", "text-only" },
            result.GetProperty("seconds").EnumerateObject().Select(p => p.Name).ToHashSet());
        Assert.Superset(
            new HashSet<string> { "weights", "activations and gradients", "optimiser", "features" },
            result.GetProperty("memory_bytes").EnumerateObject().Select(p => p.Name).ToHashSet());
        Assert.True(result.GetProperty("peak_memory_bytes").GetInt64() > 50_000_000);
        Assert.True(File.Exists(result.GetProperty("report").GetString()));
        Assert.True(File.Exists(Path.Combine(tiny.Dvp, "dvp.safetensors")));
        Assert.Contains("\"recompute_layers\": \"no\"", File.ReadAllText(Path.Combine(tiny.Run, "manifest.json")));
    }

    [Fact]
    public void A_run_that_is_over_gives_the_same_result_when_it_is_resumed()
    {
        ToolRun again = Tool.Run(
        [
            .. tiny.Arguments("quickstart", Path.GetFileName(tiny.Run)), .. TinyRun.Settings, "--resume", "--json",
        ]);
        Assert.True(again.Code == 0, again.Error);
        Assert.Equal(tiny.Run, again.Json.GetProperty("run").GetString());
        Assert.Equal(tiny.Result.GetProperty("layer").GetInt32(), again.Json.GetProperty("layer").GetInt32());
        Assert.Equal(tiny.Result.GetProperty("accuracy").GetDouble(), again.Json.GetProperty("accuracy").GetDouble());
    }

    [Fact]
    public void Exhaustive_gives_every_layer_an_interval_in_JSON_and_report()
    {
        ToolRun run = Tool.Run(
        [
            .. tiny.Arguments("quickstart", "exhaustive"), "--features", Path.Combine(tiny.Run, "features"), "--steps", "1", "--batch", "4",
            "--search-steps", "1", "--evaluate-every", "0", "--exhaustive", "--json",
        ]);
        Assert.True(run.Code == 0, run.Error);
        JsonElement[] layers = [.. run.Json.GetProperty("layers").EnumerateArray()];
        Assert.Equal([0, 1, 2, 3, 4, 5], layers.Select(l => l.GetProperty("layer").GetInt32()));
        Assert.All(layers, l =>
        {
            double[] interval = [.. l.GetProperty("accuracy_interval").EnumerateArray().Select(v => v.GetDouble())];
            Assert.InRange(l.GetProperty("accuracy").GetDouble(), interval[0], interval[1]);
            Assert.InRange(l.GetProperty("best_share").GetDouble(), 0, 1);
        });
        Assert.InRange(layers.Sum(l => l.GetProperty("best_share").GetDouble()), 0.99, 6.01);
        Assert.Contains("Every layer trained and measured", File.ReadAllText(run.Json.GetProperty("report").GetString()!));
    }

    [Fact]
    public void Other_settings_do_not_resume_a_run()
    {
        string[] arguments = [.. tiny.Arguments(
            "quickstart",
            Path.GetFileName(tiny.Run)), "--steps", "5", "--batch", "4", "--search-steps", "2", "--evaluate-every", "2", "--resume"];
        ToolRun run = Tool.Run(arguments);
        Assert.Equal(2, run.Code);
        Assert.Contains("belongs to a run with", run.Error);
    }

    [Fact]
    public void Eval_prints_accuracy_by_type_and_writes_a_result_file()
    {
        using TemporaryFolder folder = new();
        string file = folder["results.json"];
        string[] arguments =
        [
            "eval", "--dvp", tiny.Dvp, "--language-model", TinyRun.LanguageModel, "--vision-model", TinyRun.VisionModel,
            "--data", tiny.Data,
        ];
        ToolRun run = Tool.Run([.. arguments, "--output", file, "--json"]);
        Assert.True(run.Code == 0, run.Error);
        Assert.Equal(tiny.Result.GetProperty("accuracy").GetDouble(), run.Json.GetProperty("accuracy").GetDouble(), 9);
        Assert.Equal(10, run.Json.GetProperty("by_question_type").EnumerateArray().Sum(g => g.GetProperty("count").GetInt32()));
        using JsonDocument answers = JsonDocument.Parse(File.ReadAllText(file));
        Assert.Equal(10, answers.RootElement.GetArrayLength());
        Assert.Contains("all, by the majority answer", Tool.Run(arguments).Out);
        Assert.Equal(2, Tool.Run([.. arguments, "--split", "nowhere"]).Code);
    }

    [Fact]
    public void Predict_answers_with_probabilities_and_draws()
    {
        using TemporaryFolder folder = new();
        foreach (string name in new[] { "map.svg", "map.png" })
        {
            string[] arguments =
            [
                "predict", "--dvp", tiny.Dvp, "--language-model", TinyRun.LanguageModel, "--vision-model", TinyRun.VisionModel,
                "--image", Picture, "--question", "what shape is in the image?", "--heatmap", folder[name], "--top", "3", "--json",
            ];
            ToolRun run = Tool.Run(arguments);
            Assert.True(run.Code == 0, run.Error);
            double[] probabilities =
                [.. run.Json.GetProperty("answers").EnumerateArray().Select(a => a.GetProperty("probability").GetDouble())];
            Assert.Equal(3, probabilities.Length);
            Assert.Equal(probabilities.OrderDescending(), probabilities);
            Assert.True(new FileInfo(folder[name]).Length > 500);
        }
    }

    [Fact]
    public void Search_then_train_at_its_layer()
    {
        string features = Path.Combine(tiny.Run, "features");
        ToolRun search = Tool.Run(
            [.. tiny.Arguments("search", "search"), "--features", features, "--search-steps", "2", "--samples", "2", "--json"]);
        Assert.True(search.Code == 0, search.Error);
        int layer = search.Json.GetProperty("layer").GetInt32();
        Assert.Equal(4, search.Json.GetProperty("layers").EnumerateArray().Sum(l => l.GetProperty("draws").GetInt32()));
        ToolRun train = Tool.Run(
        [
            .. tiny.Arguments("train", "train"), "--features", features, "--layer-from", search.Json.GetProperty("run").GetString()!,
            "--steps", "2", "--batch", "4", "--evaluate-every", "1", "--json",
        ]);
        Assert.True(train.Code == 0, train.Error);
        Assert.Equal(layer, train.Json.GetProperty("layer").GetInt32());
        Assert.Contains("train: step 2/2", train.Error);
        Assert.InRange(train.Json.GetProperty("best_accuracy").GetDouble(), 0, 100);
        string dvp = train.Json.GetProperty("dvp").GetString()!;
        Assert.Equal(0, Tool.Run("inspect", dvp, "--model", TinyRun.LanguageModel).Code);
        Assert.Equal(0, Tool.Run("inspect", train.Json.GetProperty("best").GetString()!).Code);
    }

    [Fact]
    public void Features_are_built_and_inspected()
    {
        string store = tiny["features"];
        ToolRun run = Tool.Run(
            "features", "--vision-model", TinyRun.VisionModel, "--data", tiny.Data, "--output", store, "--batch", "3", "--json");
        Assert.True(run.Code == 0, run.Error);
        Assert.Equal(Directory.GetFiles(Path.Combine(tiny.Data, "images")).Length, run.Json.GetProperty("pictures").GetInt32());
        Assert.Equal("features", Tool.Run("inspect", store, "--json").Json.GetProperty("kind").GetString());
        string shard = Directory.GetFiles(store, "*.safetensors")[0];
        File.WriteAllBytes(shard, File.ReadAllBytes(shard)[..^100]);
        ToolRun damaged = Tool.Run("inspect", store);
        Assert.Equal(1, damaged.Code);
        Assert.Contains(Path.GetFileName(shard), damaged.Out);
    }

    [Fact]
    public void Inspect_names_a_run_and_its_parts()
    {
        ToolRun run = Tool.Run("inspect", tiny.Run, "--json");
        Assert.Equal(0, run.Code);
        Assert.Equal("run", run.Json.GetProperty("kind").GetString());
        JsonElement facts = run.Json.GetProperty("facts");
        Assert.Equal("a trained DVP", facts.GetProperty("dvp").GetString());
        Assert.Equal("a feature store", facts.GetProperty("features").GetString());
        Assert.Equal("a checkpoint at step 4", facts.GetProperty("train").GetString());
    }

    [Fact]
    public void Train_needs_a_layer_of_the_model()
    {
        Tool.AssertFails(2, "No layer was given", tiny.Arguments("train", "none"));
        ToolRun outside = Tool.Run([.. tiny.Arguments("train", "none"), "--layer", "6"]);
        Assert.Equal(2, outside.Code);
        Assert.Equal("dvp: Layer 6 is outside the language model; choose an insertion layer from 0 to 5.\n", outside.Error);
        Assert.False(Directory.Exists(tiny["none"]));
    }
}
