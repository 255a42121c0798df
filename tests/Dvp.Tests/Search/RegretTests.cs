using System.Text.Json;
using Dvp.Engine;
using Dvp.Search;
using Xunit;

namespace Dvp.Tests.Search;

public sealed class RegretTests(ITestOutputHelper output)
{
    [Fact]
    public void A_clear_winner_is_found_by_every_strategy()
    {
        RegretReport report = RegretSimulation.Run(RegretSettings.Clear with { Seed = 7 });
        output.WriteLine(report.ToText());
        Assert.Equal(LayerSearches.Names, report.Curves.Select(c => c.Strategy));
        foreach (RegretCurve curve in report.Curves)
        {
            RegretPoint first = curve.Points[0];
            RegretPoint last = curve.Points[^1];
            Assert.Equal((1, 300), (first.Step, last.Step));
            Assert.True(last.SimpleRegret < 0.2 * first.SimpleRegret, $"{curve.Strategy}: {first.SimpleRegret} to {last.SimpleRegret}");
            Assert.True(last.BestShare >= 0.9, $"{curve.Strategy}: best layer in {last.BestShare:P0}");
            Assert.True(last.Scores <= 1500);
        }

        // What adaptive strategies are for: their scores go to good layers. Exhaustive search pays the mean difference.
        double[] price = [.. report.Curves.Select(c => c.Points[^1].MeanScoreRegret)];
        double exhaustive = price[1];
        Assert.Equal(100 * (0.62 - RegretSettings.Clear.Means.Average()), exhaustive, 1e-9);
        Assert.All(new[] { price[0], price[3], price[4] }, p => Assert.True(p < exhaustive));
    }

    [Fact]
    public void Close_layers_leave_every_strategy_within_a_point()
    {
        RegretReport report = RegretSimulation.Run(RegretSettings.Close with { Seed = 7 });
        output.WriteLine(report.ToText());
        Assert.All(report.Curves, c => Assert.InRange(c.Points[^1].SimpleRegret, 0, 1));
        Assert.All(report.Curves, c => Assert.True(c.Points[^1].SimpleRegret < c.Points[0].SimpleRegret));
    }

    [Fact]
    public void The_report_is_reproducible_and_complete()
    {
        RegretSettings settings = new(RegretSettings.Clear.Means, 32, 3, 40, 5, Seed: 3) { Checkpoints = [10, 40, 99] };
        RegretReport report = RegretSimulation.Run(settings, ["kab-app", "exhaustive"]);
        Assert.Equal(report.ToText(), RegretSimulation.Run(settings, ["kab-app", "exhaustive"]).ToText());
        Assert.NotEqual(report.ToText(), RegretSimulation.Run(settings with { Seed = 4 }, ["kab-app", "exhaustive"]).ToText());
        Assert.All(report.Curves, c => Assert.Equal([10, 40], c.Points.Select(p => p.Step)));
        Assert.All(report.Curves, c => Assert.Equal(120, c.Points[^1].Scores));

        using MemoryStream stream = new();
        using (Utf8JsonWriter writer = new(stream))
        {
            report.WriteJson(writer);
        }

        using JsonDocument json = JsonDocument.Parse(stream.ToArray());
        JsonElement point = json.RootElement.GetProperty("curves")[1].GetProperty("points")[1];
        Assert.Equal(report.Curves[1].Points[1].SimpleRegret, point.GetProperty("simple_regret").GetDouble());
    }

    [Fact]
    public void Without_noise_every_strategy_but_the_slow_bandit_is_right_at_once()
    {
        RegretReport report = RegretSimulation.Run(
            new RegretSettings([0, 0, 1, 0], 8, 2, 30, 10), ["exhaustive", "halving", "ucb", "thompson"]);
        Assert.All(report.Curves, c => Assert.Equal((0, 1), (c.Points[^1].SimpleRegret, c.Points[^1].BestShare)));
    }

    [Fact]
    public void Impossible_tables_are_refused()
    {
        Assert.Throws<DvpException>(() => RegretSimulation.Run(new RegretSettings([], 8, 2, 3, 1)));
        Assert.Throws<DvpException>(() => RegretSimulation.Run(new RegretSettings([1.2], 8, 2, 3, 1)));
        Assert.Throws<DvpException>(() => RegretSimulation.Run(new RegretSettings([0.5], 0, 2, 3, 1)));
        Assert.Throws<DvpException>(() => RegretSimulation.Run(new RegretSettings([0.5], 8, 2, 3, 1), ["guess"]));
    }
}
