using System.Text.Json;
using System.Text.Json.Nodes;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cli;

public sealed class BenchTests
{
    private static readonly string[] s_models =
    [
        "bench", "--only", "models", "--model", TinyRun.LanguageModel, "--vision-model", TinyRun.VisionModel, "--labels", "13",
        "--batch", "2", "--seconds", "0.01", "--threads", "1",
    ];

    private static readonly Lazy<ToolRun> s_measured = new(() => Tool.Run([.. s_models, "--json"]));

    [Fact]
    public void Models_are_measured_whole_and_by_operator()
    {
        ToolRun run = s_measured.Value;
        Assert.True(run.Code == 0, run.Error);
        JsonElement[] rows = [.. run.Json.GetProperty("rows").EnumerateArray()];
        Assert.Equal(["forward", "forward", "training"], rows.Select(r => r.GetProperty("section").GetString()));
        Assert.All(rows, r =>
        {
            Assert.InRange(
                r.GetProperty("median_seconds").GetDouble(),
                r.GetProperty("best_seconds").GetDouble(),
                r.GetProperty("p95_seconds").GetDouble());
            Assert.InRange(r.GetProperty("peak_share").GetDouble(), 1e-6, 1.5);
        });
        JsonElement device = run.Json.GetProperty("device");
        Assert.StartsWith("cpu (1 thread", device.GetProperty("name").GetString());
        Assert.True(device.GetProperty("bytes_copied").GetInt64() > 0);
        Assert.True(run.Json.GetProperty("peaks")[0].GetProperty("gigaflops").GetDouble() > 0.1);
        JsonElement[] passes = [.. run.Json.GetProperty("passes").EnumerateArray()];
        Assert.Equal(
            ["forward, batch 1", "forward, batch 2", "training step, batch 2"], passes.Select(p => p.GetProperty("name").GetString()));
        Dictionary<string, long> calls = passes[0].GetProperty("operators").EnumerateArray()
            .ToDictionary(o => o.GetProperty("name").GetString()!, o => o.GetProperty("calls").GetInt64());
        Assert.Equal(12, calls["AdapterForward"]); // two a layer
        Assert.Equal(6, calls["AttentionForward"]);
        Assert.Equal(1, calls["PromptAttentionForward"]);
        Assert.InRange(passes[2].GetProperty("outside_products").GetDouble(), 0.001, 0.999);
    }

    [Fact]
    public void An_earlier_result_judges_a_later_one()
    {
        using TemporaryFolder folder = new();
        JsonNode earlier = JsonNode.Parse(s_measured.Value.Out)!;
        JsonArray rows = earlier["rows"]!.AsArray();
        (double Median, double P95)[] times = [(1e-9, 1e-9), (1e9, 1e9), (1e-9, 1e9)];
        for (int i = 0; i < rows.Count; i++)
        {
            rows[i]!["median_seconds"] = times[i].Median;
            rows[i]!["p95_seconds"] = times[i].P95;
        }

        File.WriteAllText(folder["before.json"], earlier.ToJsonString());
        ToolRun run = Tool.Run([.. s_models, "--compare", folder["before.json"], "--json"]);
        Assert.Equal(1, run.Code);
        Assert.Equal(
            ["slower", "faster", "same"],
            run.Json.GetProperty("changes").EnumerateArray().Select(c => c.GetProperty("verdict").GetString()));
        Tool.AssertFails(2, "nowhere.json", "bench", "--compare", "nowhere.json");
    }

    [Fact]
    public void Products_are_measured_against_the_peak()
    {
        ToolRun run = Tool.Run("bench", "--only", "products", "--seconds", "0.01", "--threads", "1", "--json");
        Assert.True(run.Code == 0, run.Error);
        JsonElement[] rows = [.. run.Json.GetProperty("rows").EnumerateArray()];
        Assert.Contains("256 x 768 x 3072, 1 thread", rows.Select(r => r.GetProperty("name").GetString()));
        Assert.All(rows, r => Assert.InRange(r.GetProperty("peak_share").GetDouble(), 1e-6, 1.5));
    }
}
