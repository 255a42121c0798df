namespace Dvp.Search;

/// <summary>
/// Optimism: each step scores the S layers with the largest mean + c d sqrt(2 ln n / n_i), with n all scores so far, n_i those of the
/// layer and d the pooled deviation of a score (UCB1 of Auer, Cesa-Bianchi and Fischer 2002, its range replaced by d).
/// </summary>
public sealed class Ucb : LayerSearch
{
    /// <summary>Its name.</summary>
    public const string StrategyName = "ucb";

    private readonly ArmStatistics _statistics;
    private readonly double _exploration;

    /// <summary>Starts with no scores: layers never scored come first, in random order.</summary>
    /// <param name="layers">L.</param>
    /// <param name="samples">S, layers a step, at most L of them.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="exploration">c.</param>
    /// <param name="discount">Factor on older scores a step, in (0, 1]; below 1 while the model still trains.</param>
    public Ucb(int layers, int samples, ulong seed = 0, double exploration = 1, double discount = 1)
        : base(StrategyName, layers, Math.Min(samples, layers), seed)
    {
        _statistics = new ArmStatistics(layers, discount);
        _exploration = exploration;
    }

    /// <inheritdoc/>
    public override double[] Preferences => _statistics.Preferences();

    /// <inheritdoc/>
    public override int[] Draw()
    {
        double spread = _exploration * _statistics.PooledDeviation(fallback: 1);
        double logarithm = 2 * Math.Log(Math.Max(_statistics.Total, 1));
        double[] index = new double[Layers];
        int[] order = new int[Layers];
        for (int i = 0; i < Layers; i++)
        {
            double count = _statistics.Counts[i];
            index[i] = count > 0 ? _statistics.Means[i] + (spread * Math.Sqrt(logarithm / count)) : double.PositiveInfinity;
            order[i] = i;
        }

        Random.Shuffle<int>(order); // so that equal layers come in no fixed order
        return [.. order.OrderByDescending(i => index[i]).Take(Samples)];
    }

    private protected override void Learn(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores) => _statistics.Add(arms, scores);

    private protected override double[] SaveValues() => _statistics.Save();

    private protected override bool RestoreValues(double[] values) => _statistics.Restore(values);
}
