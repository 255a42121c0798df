using Dvp.Evaluation;
using Dvp.Tasks.Vqa;
using Dvp.Tests.Tasks;
using Xunit;

namespace Dvp.Tests.Evaluation;

/// <summary>Intervals, baselines and the tests of a layer's choice, against closed forms and planted truths.</summary>
public class EvaluationTests
{
    [Theory]
    [InlineData(1244, 0.93)]
    [InlineData(400, 0.5)]
    public void Bootstrap_of_a_proportion_has_the_binomial_width(int count, double rate)
    {
        double[] scores = [.. Enumerable.Range(0, count).Select(i => i < rate * count ? 1.0 : 0.0)];
        Interval interval = Bootstrap.Mean(scores);
        double half = 1.96 * Math.Sqrt(interval.Mean * (1 - interval.Mean) / count);
        Assert.Equal(scores.Average(), interval.Mean, 1e-12);
        Assert.Equal(interval.Mean - half, interval.Low, 0.1 * half);
        Assert.Equal(interval.Mean + half, interval.High, 0.1 * half);
        Assert.Equal(interval, Bootstrap.Mean(scores));
        Assert.NotEqual(interval, Bootstrap.Mean(scores, seed: 2));
        Interval half80 = Bootstrap.Mean(scores, confidence: 0.8);
        Assert.True(half80.High - half80.Low < interval.High - interval.Low);
    }

    [Fact]
    public void Bootstrap_covers_the_true_mean_as_often_as_it_says()
    {
        SplitMix random = new(3);
        int covered = 0;
        for (int trial = 0; trial < 200; trial++)
        {
            double[] scores = [.. Enumerable.Range(0, 200).Select(_ => random.Uniform() < 0.7 ? 1.0 : 0.0)];
            Interval interval = Bootstrap.Mean(scores, resamples: 400, seed: (ulong)trial);
            covered += interval.Low <= 0.7 && 0.7 <= interval.High ? 1 : 0;
        }

        Assert.InRange(covered, 180, 199); // 95 % of 200 is 190, its deviation 3
    }

    [Fact]
    public void Paired_difference_is_narrower_than_the_means()
    {
        SplitMix random = new(4);
        double[] first = new double[500], second = new double[500];
        for (int i = 0; i < first.Length; i++)
        {
            first[i] = random.Uniform();
            second[i] = first[i] - 0.02 + (0.01 * random.Uniform());
        }

        Interval difference = Bootstrap.Difference(first, second);
        Assert.InRange(difference.Low, 0.014, 0.016);
        Assert.InRange(difference.High, difference.Low, 0.016);
        Assert.Equal(new Interval(0, 0, 0), Bootstrap.Difference(first, first));
    }

    [Fact]
    public void Majority_baseline_of_the_sample()
    {
        VqaDataset data = VqaDataset.Open(Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa", "data"));
        MajorityBaseline baseline = MajorityBaseline.Fit(data.Split("train"));
        VqaSplit test = data.Split("test");
        Assert.Equal("yes", baseline.Answer);
        Assert.Equal(444.0 / 1244, baseline.Scores(test).Average(), 1e-12); // 444 of the 1,244 test answers are "yes"
        Dictionary<string, string> best = data.Split("train").Examples.GroupBy(e => e.QuestionType).ToDictionary(
            g => g.Key, g => g.GroupBy(e => e.MajorityAnswer).MaxBy(a => a.Count())!.Key);
        Assert.All(best, b => Assert.Equal(b.Value, baseline.AnswerTo(b.Key)));
        Assert.Equal("yes", baseline.AnswerTo("why"));
        double[] byType = baseline.Scores(test, byQuestionType: true);
        Assert.Equal(test.Examples.Average(e => best[e.QuestionType] == e.MajorityAnswer ? 1.0 : 0.0), byType.Average(), 1e-12);
        IReadOnlyList<GroupAccuracy> groups = AccuracyByType.ByQuestionType(test, byType);
        Assert.Equal(["is there", "does the", "what is", "what shape", "is no", "is a", "what color"], groups.Select(g => g.Group));
        Assert.Equal(1244, groups.Sum(g => g.Count));
        Assert.Equal(byType.Average(), groups.Sum(g => g.Count * g.Accuracy.Mean) / 1244, 1e-12);
        Assert.Equal(2, AccuracyByType.ByAnswerType(test, byType).Count);
    }

    [Fact]
    public void Majority_needs_answers() =>
        Errors.Contains(
            () => MajorityBaseline.Fit(VqaDataset.Open(Fixtures.Path("metrics/datasets/vqa2")).Split("test")), "no answers");

    [Fact]
    public void Equal_layers_are_rarely_beyond_chance_and_a_better_one_is()
    {
        SplitMix random = new(6);
        int found = 0;
        for (int trial = 0; trial < 60; trial++)
        {
            LayerComparison chance = BeyondChance.Layers(Scores(ref random, 6, 300, live: -1), trials: 300, seed: (ulong)trial);
            found += chance.IsBeyondChance ? 1 : 0;
            Assert.Equal(1.0, chance.LeadShare.Sum(), 1e-9);
        }

        Assert.InRange(found, 0, 8); // 5 % of 60 is 3, its deviation 1.7

        LayerComparison planted = BeyondChance.Layers(Scores(ref random, 6, 300, live: 4), trials: 300);
        Assert.Equal(4, planted.Best);
        Assert.True(planted.IsBeyondChance);
        Assert.True(planted.LeadShare[4] > 0.95);
        Assert.True(planted.LeadOverSecond.Low > 0);
        Assert.Contains("Layer 4", planted.Sentence);
        Assert.Contains("is beyond chance", planted.Sentence);
    }

    [Fact]
    public void Identical_layers_are_never_beyond_chance()
    {
        double[] scores = [1, 0, 1, 1];
        LayerComparison same = BeyondChance.Layers([scores, scores, scores]);
        Assert.Equal(1.0, same.PValue);
        Assert.Equal(0, same.Best);
        Assert.All(same.LeadShare, s => Assert.Equal(1.0 / 3, s, 1e-9));
        Assert.Contains("not beyond chance", same.Sentence);
    }

    [Fact]
    public void A_search_among_equals_is_rarely_beyond_chance_and_a_planted_one_is()
    {
        SplitMix random = new(7);
        int found = 0;
        for (int trial = 0; trial < 40; trial++)
        {
            SearchEvidence chance = BeyondChance.Search(Steps(ref random, 100, live: -1), 6, trials: 200, seed: (ulong)trial);
            found += chance.IsBeyondChance ? 1 : 0;
            Assert.True(chance.ChanceMedian <= chance.ChanceQuantile95);
        }

        Assert.InRange(found, 0, 7); // 5 % of 40 is 2, its deviation 1.4

        SearchEvidence planted = BeyondChance.Search(Steps(ref random, 100, live: 3), 6, trials: 200);
        Assert.Equal(3, planted.Best);
        Assert.True(planted.IsBeyondChance);
        Assert.Contains("prefers layer 3", planted.Sentence);
    }

    [Fact]
    public void The_replayed_preference_is_the_published_update()
    {
        // One step from alpha = 0, 2 layers: p = 1/2 each, alpha = +-0.005 * 10 * 0.25, softmax = 1 / (1 + exp(-0.025)).
        SearchEvidence one = BeyondChance.Search([new SearchStep([1, 0], [70, 50])], 2, trials: 10);
        Assert.Equal(1, one.Best);
        Assert.Equal(1 / (1 + Math.Exp(-0.025)), one.Probability, 1e-12);
    }

    private static double[][] Scores(ref SplitMix random, int layers, int count, int live)
    {
        double[][] scores = [.. Enumerable.Range(0, layers).Select(_ => new double[count])];
        for (int i = 0; i < count; i++)
        {
            double ease = random.Uniform(); // what is hard for one layer is hard for all
            for (int l = 0; l < layers; l++)
            {
                scores[l][i] = random.Uniform() < (0.7 * ease) + (l == live ? 0.5 : 0.3) ? 1 : 0;
            }
        }

        return scores;
    }

    private static SearchStep[] Steps(ref SplitMix random, int count, int live)
    {
        SearchStep[] steps = new SearchStep[count];
        double[] batch = new double[6];
        for (int s = 0; s < count; s++)
        {
            for (int l = 0; l < batch.Length; l++)
            {
                batch[l] = 40 + (0.2 * s) + (20 * random.Uniform()) + (l == live ? 25 : 0);
            }

            int[] drawn = new int[5];
            for (int j = 0; j < drawn.Length; j++)
            {
                drawn[j] = random.Below(batch.Length);
            }

            steps[s] = new SearchStep(drawn, [.. drawn.Select(l => batch[l])]);
        }

        return steps;
    }
}
