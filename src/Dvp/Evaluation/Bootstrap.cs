namespace Dvp.Evaluation;

/// <summary>A mean with its confidence interval, in the unit of the scores.</summary>
/// <param name="Mean">The mean of the scores.</param>
/// <param name="Low">Lower end.</param>
/// <param name="High">Upper end.</param>
public readonly record struct Interval(double Mean, double Low, double High)
{
    /// <summary>The same interval with every value multiplied, for instance by 100 to get percent.</summary>
    public Interval Times(double factor) => new(Mean * factor, Low * factor, High * factor);
}

/// <summary>
/// Percentile bootstrap of means (Efron 1979): examples are drawn with replacement, so the interval covers the choice of the
/// questions and nothing else; another training seed moves the mean too.
/// </summary>
public static class Bootstrap
{
    /// <summary>Resamples that intervals are made from unless said otherwise.</summary>
    public const int DefaultResamples = 2000;

    /// <summary>The interval of the mean score.</summary>
    /// <param name="scores">One score an example, at least one.</param>
    /// <param name="resamples">How many resampled means.</param>
    /// <param name="confidence">The share of resampled means inside, for instance 0.95.</param>
    /// <param name="seed">The same seed gives the same interval.</param>
    public static Interval Mean(
        ReadOnlySpan<double> scores, int resamples = DefaultResamples, double confidence = 0.95, ulong seed = 1)
    {
        ArgumentOutOfRangeException.ThrowIfZero(scores.Length);
        SplitMix random = new(seed);
        double[] means = new double[resamples];
        for (int r = 0; r < resamples; r++)
        {
            double sum = 0;
            for (int i = 0; i < scores.Length; i++)
            {
                sum += scores[random.Below(scores.Length)];
            }

            means[r] = sum / scores.Length;
        }

        return Percentiles(MeanOf(scores), means, confidence);
    }

    /// <summary>
    /// The interval of the mean difference <paramref name="first"/> - <paramref name="second"/> of two systems on the same
    /// examples: pairs are drawn, so what is hard for both cancels.
    /// </summary>
    /// <param name="first">One score an example.</param>
    /// <param name="second">The other system's scores, in the same order.</param>
    /// <param name="resamples">How many resampled means.</param>
    /// <param name="confidence">The share of resampled means inside.</param>
    /// <param name="seed">The same seed gives the same interval.</param>
    public static Interval Difference(
        ReadOnlySpan<double> first, ReadOnlySpan<double> second, int resamples = DefaultResamples, double confidence = 0.95,
        ulong seed = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(second.Length, first.Length);
        double[] differences = new double[first.Length];
        for (int i = 0; i < differences.Length; i++)
        {
            differences[i] = first[i] - second[i];
        }

        return Mean(differences, resamples, confidence, seed);
    }

    /// <summary>The interval between the percentiles of resampled values, which are sorted in place.</summary>
    internal static Interval Percentiles(double mean, double[] resampled, double confidence)
    {
        Array.Sort(resampled);
        return new Interval(mean, Quantile(resampled, (1 - confidence) / 2), Quantile(resampled, (1 + confidence) / 2));
    }

    /// <summary>The quantile of sorted values, between the two nearest ones.</summary>
    internal static double Quantile(double[] sorted, double q)
    {
        double at = q * (sorted.Length - 1);
        int low = (int)at, high = Math.Min(low + 1, sorted.Length - 1);
        return sorted[low] + ((at - low) * (sorted[high] - sorted[low]));
    }

    internal static double MeanOf(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double v in values)
        {
            sum += v;
        }

        return sum / values.Length;
    }
}
