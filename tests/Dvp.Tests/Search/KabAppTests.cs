using System.Text.Json;
using Dvp.Engine;
using Dvp.Search;
using Xunit;

namespace Dvp.Tests.Search;

public sealed class KabAppTests
{
    private const double Tolerance = 1e-10;

    [Theory]
    [InlineData("bert")]
    [InlineData("bert-peaked")]
    [InlineData("t5")]
    [InlineData("llama")]
    [InlineData("scienceqa")]
    public void Every_step_of_a_trace_follows_the_published_rule(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Fixtures.Path($"kab-app/trace-{name}.json")));
        JsonElement root = document.RootElement;
        KabApp search = Make(root);
        int count = 0;
        foreach (JsonElement step in root.GetProperty("steps").EnumerateArray())
        {
            double[] scores = Numbers(step, "scores");
            if (step.TryGetProperty("losses", out JsonElement losses))
            {
                Close(scores, [.. losses.EnumerateArray().Select(l => KabApp.ScoreOfLoss(l.GetDouble()))]);
            }

            search.SetPreferences(Numbers(step, "alpha_before"));
            Close(Numbers(step, "probabilities"), search.Probabilities);
            int[] arms = Arms(step.GetProperty("arms"));
            search.Update(arms, scores);
            KabAppStep did = search.LastStep!;
            Close(Numbers(step, "arm_probabilities"), [.. arms.Select(a => did.Probabilities[a])]);
            Assert.Equal(step.GetProperty("mean_score").GetDouble(), did.MeanScore, Tolerance);
            Close(Numbers(step, "rewards"), did.Rewards);
            Close(Numbers(step, "weights"), did.Weights);
            Close(Numbers(step, "alpha_after"), search.Preferences);
            count++;
        }

        Assert.True(count >= 15, $"only {count} steps");
        Assert.Equal(root.GetProperty("result").GetInt32(), search.Best);
    }

    [Theory]
    [InlineData("bert")]
    public void A_long_trace_is_followed_from_its_start_alone(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Fixtures.Path($"kab-app/trace-long-{name}.json")));
        JsonElement root = document.RootElement;
        KabApp search = Make(root);
        search.SetPreferences(Numbers(root, "alpha_start"));
        int every = root.GetProperty("every").GetInt32();
        double[][] alphas = [..
            root.GetProperty("alpha").EnumerateArray().Select(a => a.EnumerateArray().Select(v => v.GetDouble()).ToArray())];
        JsonElement[] arms = [.. root.GetProperty("arms").EnumerateArray()];
        JsonElement[] scores = [.. root.GetProperty("scores").EnumerateArray()];
        for (int step = 0; step < arms.Length; step++)
        {
            search.Update(Arms(arms[step]), [.. scores[step].EnumerateArray().Select(v => v.GetDouble())]);
            if ((step + 1) % every == 0)
            {
                Close(alphas[step / every], search.Preferences);
            }
        }

        Assert.Equal(600, arms.Length);
        Assert.Equal(root.GetProperty("result").GetInt32(), search.Best);
    }

    [Fact]
    public void Draws_follow_the_softmax_of_alpha()
    {
        KabApp search = new(3, new KabAppRule(Samples: 100_000), seed: 5);
        search.SetPreferences([0, Math.Log(2), Math.Log(5)]);
        int[] counts = new int[3];
        foreach (int arm in search.Draw())
        {
            counts[arm]++;
        }

        // Five standard deviations of 100,000 draws at 1/8, 2/8, 5/8.
        Assert.InRange(counts[0], 12_500 - 525, 12_500 + 525);
        Assert.InRange(counts[1], 25_000 - 685, 25_000 + 685);
        Assert.InRange(counts[2], 62_500 - 766, 62_500 + 766);
    }

    [Fact]
    public void The_ScienceQA_rule_commits_within_a_few_updates()
    {
        // Losses 0.40 at one layer and 0.42 at the others: rewards around one percent.
        KabApp search = new(16, KabAppRule.ScienceQa, seed: 1);
        double highest = 0;
        for (int step = 0; step < 8 && highest < 0.5; step++)
        {
            int[] arms = search.Draw();
            search.Update(arms, [.. arms.Select(a => KabApp.ScoreOfLoss(a % 3 == 0 ? 0.40 : 0.42))]);
            highest = search.Probabilities.Max();
        }

        Assert.True(highest >= 0.25, $"highest probability {highest}");

        KabApp slow = new(16, KabAppRule.Llama, seed: 1);
        for (int step = 0; step < 8; step++)
        {
            int[] arms = slow.Draw();
            slow.Update(arms, [.. arms.Select(a => KabApp.ScoreOfLoss(a % 3 == 0 ? 0.40 : 0.42))]);
        }

        Assert.True(slow.Probabilities.Max() < 0.07);
    }

    [Fact]
    public void Wrong_input_is_refused()
    {
        KabApp search = new(4);
        Assert.Throws<ArgumentException>(() => search.Update([0, 1], [1.0]));
        Assert.Throws<ArgumentException>(() => search.Update([], []));
        Assert.Throws<ArgumentException>(() => search.Update([4], [1.0]));
        Assert.Throws<ArgumentException>(() => search.Update([0], [double.NaN]));
        Assert.Throws<ArgumentException>(() => search.SetPreferences([0, 0]));
        Assert.Throws<DvpException>(() => search.Restore(new KabApp(5).Save()));
        Assert.Throws<DvpException>(() => search.Restore(new Exhaustive(4, 2).Save()));
        Assert.Equal(new double[4], search.Preferences);
        Assert.Equal(0, search.Steps);
    }

    private static KabApp Make(JsonElement root)
    {
        JsonElement rule = root.GetProperty("rule");
        return new KabApp(
            rule.GetProperty("layers").GetInt32(),
            new KabAppRule(
                rule.GetProperty("step").GetDouble(), rule.GetProperty("weight_factor").GetDouble(),
                rule.GetProperty("samples").GetInt32()));
    }

    private static void Close(double[] expected, double[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], Tolerance);
        }
    }

    private static double[] Numbers(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(v => v.GetDouble())];

    private static int[] Arms(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetInt32())];
}
