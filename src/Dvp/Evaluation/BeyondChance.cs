using System.Globalization;

namespace Dvp.Evaluation;

/// <summary>Tests of the choice of a layer. All are seeded; the same input gives the same answer.</summary>
public static class BeyondChance
{
    /// <summary>
    /// Permutation test on per-example scores of every layer (an exhaustive search). If all layers were equally good, the scores
    /// of one example could be exchanged between the layers; the statistic is the best layer's mean less the mean of all.
    /// </summary>
    /// <param name="scores">Per layer one score an example, in [0, 1], all in the same order of examples.</param>
    /// <param name="trials">Random exchanges, and bootstrap resamples.</param>
    /// <param name="level">Beyond chance means a p-value below this.</param>
    /// <param name="seed">Of the random exchanges.</param>
    public static LayerComparison Layers(
        IReadOnlyList<double[]> scores, int trials = Bootstrap.DefaultResamples, double level = 0.05, ulong seed = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(scores.Count, 2);
        int layers = scores.Count, count = scores[0].Length;
        if (scores.Any(s => s.Length != count) || count == 0)
        {
            throw new ArgumentException("Every layer needs one score for each example.", nameof(scores));
        }

        double[] means = [.. scores.Select(s => Bootstrap.MeanOf(s))];
        int best = Array.IndexOf(means, means.Max());
        int second = Enumerable.Range(0, layers).Where(l => l != best).MaxBy(l => means[l]);
        double p = Exchange(scores, means[best] - means.Average(), trials, seed);
        bool beyond = p < level;
        Interval lead = Bootstrap.Difference(scores[best], scores[second], trials, seed: seed);
        double[] share = LeadShare(scores, trials, seed);
        string sentence = Text(
            $"Layer {best} leads the mean of all {layers} layers by {100 * (means[best] - means.Average()):F1} points and layer {second} ")
            + Text($"by {100 * lead.Mean:F1} ({100 * lead.Low:F1} to {100 * lead.High:F1}) on {count} questions; it stays the best on ")
            + Text($"{100 * share[best]:F0} % of resampled question sets (p = {p:F3}): the choice is ")
            + (beyond ? "beyond" : "not beyond")
            + " chance as far as the sampling of questions goes. Another training seed moves every layer as well.";
        return new LayerComparison
        {
            Best = best,
            Layers = [.. scores.Select(s => Bootstrap.Mean(s, trials, seed: seed))],
            LeadShare = share,
            LeadOverSecond = lead,
            PValue = p,
            IsBeyondChance = beyond,
            Sentence = sentence,
        };
    }

    /// <summary>
    /// Replays a KAB-APP search with chance rewards: in each step layers are drawn from that replay's own preferences and each
    /// drawn layer gets the score of a random draw of the real step, so that spread and trend of the scores are the real ones
    /// but say nothing about layers. The update is alpha[k] += rate r p (1 - p) with r the score less the mean of the step's
    /// draws and all p taken before the step.
    /// </summary>
    /// <param name="steps">The real search, in order; scores in percent.</param>
    /// <param name="layers">The number of candidates.</param>
    /// <param name="rate">Step size times weight: 0.005 for VQA, 10 for ScienceQA.</param>
    /// <param name="trials">The number of replays.</param>
    /// <param name="level">Beyond chance means a p-value below this.</param>
    /// <param name="seed">Of the replays.</param>
    public static SearchEvidence Search(
        IReadOnlyList<SearchStep> steps, int layers, double rate = 0.005, int trials = 1000, double level = 0.05, ulong seed = 1)
    {
        double[] alpha = new double[layers], p = new double[layers];
        foreach (SearchStep step in steps)
        {
            Softmax(alpha, p);
            Update(alpha, p, [.. step.Layers], [.. step.Scores], rate);
        }

        Softmax(alpha, p);
        double strength = p.Max();
        int best = Array.IndexOf(p, strength);
        double[] chance = new double[trials];
        SplitMix random = new(seed);
        double[][] pools = [.. steps.Select(Pool)];
        for (int t = 0; t < trials; t++)
        {
            chance[t] = Replay(steps, pools, layers, rate, ref random);
        }

        double value = (1.0 + chance.Count(c => c >= strength - 1e-12)) / (trials + 1);
        Array.Sort(chance);
        bool beyond = value < level;
        double median = Bootstrap.Quantile(chance, 0.5), high = Bootstrap.Quantile(chance, 0.95);
        return new SearchEvidence
        {
            Best = best,
            Probability = strength,
            ChanceMedian = median,
            ChanceQuantile95 = high,
            PValue = value,
            IsBeyondChance = beyond,
            Sentence = Text($"After {steps.Count} steps the search prefers layer {best} with probability {strength:F3} (1/{layers} = ")
                + Text($"{1.0 / layers:F3} at the start); rewards shuffled between layers lead to {median:F3} in the median and {high:F3} ")
                + Text($"in one search of twenty (p = {value:F3}): the preference is {(beyond ? "beyond" : "not beyond")} chance."),
        };
    }

    private static double Exchange(IReadOnlyList<double[]> scores, double observed, int trials, ulong seed)
    {
        // Examples that every layer scores alike do not change under exchange: only the others are shuffled.
        int layers = scores.Count, count = scores[0].Length;
        double[][] rows = [.. Enumerable.Range(0, count).Select(i => scores.Select(s => s[i]).ToArray())
            .Where(r => r.Any(v => v != r[0]))];
        double mean = rows.Sum(r => r.Sum()) / layers / count;
        SplitMix random = new(seed);
        double[] sums = new double[layers];
        int extreme = 0;
        for (int t = 0; t < trials; t++)
        {
            Array.Clear(sums);
            foreach (double[] row in rows)
            {
                for (int l = layers - 1; l >= 0; l--)
                {
                    int other = random.Below(l + 1);
                    (row[l], row[other]) = (row[other], row[l]);
                    sums[l] += row[l];
                }
            }

            extreme += (sums.Max() / count) - mean >= observed - 1e-12 ? 1 : 0;
        }

        return (1.0 + extreme) / (trials + 1);
    }

    private static double[] LeadShare(IReadOnlyList<double[]> scores, int trials, ulong seed)
    {
        int layers = scores.Count, count = scores[0].Length;
        double[] share = new double[layers], sums = new double[layers];
        SplitMix random = new(seed);
        for (int t = 0; t < trials; t++)
        {
            Array.Clear(sums);
            for (int i = 0; i < count; i++)
            {
                int example = random.Below(count);
                for (int l = 0; l < layers; l++)
                {
                    sums[l] += scores[l][example];
                }
            }

            double top = sums.Max() - 1e-9;
            int equals = sums.Count(s => s >= top);
            for (int l = 0; l < layers; l++)
            {
                share[l] += sums[l] >= top ? 1.0 / equals / trials : 0;
            }
        }

        return share;
    }

    private static double Replay(IReadOnlyList<SearchStep> steps, double[][] pools, int layers, double rate, ref SplitMix random)
    {
        double[] alpha = new double[layers], p = new double[layers], given = new double[layers];
        for (int s = 0; s < steps.Count; s++)
        {
            Softmax(alpha, p);
            for (int l = 0; l < layers; l++)
            {
                given[l] = pools[s][random.Below(pools[s].Length)]; // one score a layer: a layer drawn twice has it twice
            }

            int[] drawn = new int[steps[s].Layers.Count];
            double[] scores = new double[drawn.Length];
            for (int j = 0; j < drawn.Length; j++)
            {
                drawn[j] = Draw(p, random.Uniform());
                scores[j] = given[drawn[j]];
            }

            Update(alpha, p, drawn, scores, rate);
        }

        Softmax(alpha, p);
        return p.Max();
    }

    /// <summary>The scores of the step's distinct layers, spread so that drawing from them with replacement keeps their variance.</summary>
    private static double[] Pool(SearchStep step)
    {
        double[] distinct = [.. step.Layers.Zip(step.Scores).DistinctBy(x => x.First).Select(x => x.Second)];
        double mean = distinct.Average(), factor = distinct.Length > 1 ? Math.Sqrt(distinct.Length / (distinct.Length - 1.0)) : 1;
        return [.. distinct.Select(d => mean + (factor * (d - mean)))];
    }

    private static void Update(double[] alpha, double[] p, int[] drawn, double[] scores, double rate)
    {
        double mean = scores.Average();
        for (int j = 0; j < drawn.Length; j++)
        {
            alpha[drawn[j]] += rate * (scores[j] - mean) * p[drawn[j]] * (1 - p[drawn[j]]);
        }
    }

    private static int Draw(double[] p, double u)
    {
        for (int l = 0; l < p.Length - 1; l++)
        {
            u -= p[l];
            if (u < 0)
            {
                return l;
            }
        }

        return p.Length - 1;
    }

    private static void Softmax(double[] alpha, double[] p)
    {
        double max = alpha.Max(), sum = 0;
        for (int l = 0; l < p.Length; l++)
        {
            sum += p[l] = Math.Exp(alpha[l] - max);
        }

        for (int l = 0; l < p.Length; l++)
        {
            p[l] /= sum;
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
