namespace Dvp.Search;

/// <summary>
/// Probability matching: each of the S draws takes a sample from N(mean_i, d^2 / n_i) for every layer and names the layer with the
/// largest that the step does not have yet; d is the pooled deviation of a score (Thompson 1933, with normal posteriors).
/// </summary>
public sealed class Thompson : LayerSearch
{
    /// <summary>Its name.</summary>
    public const string StrategyName = "thompson";

    private readonly ArmStatistics _statistics;

    /// <summary>Starts with no scores: layers never scored come first, in random order.</summary>
    /// <param name="layers">L.</param>
    /// <param name="samples">S, layers a step, at most L of them.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="discount">Factor on older scores a step, in (0, 1]; below 1 while the model still trains.</param>
    public Thompson(int layers, int samples, ulong seed = 0, double discount = 1)
        : base(StrategyName, layers, Math.Min(samples, layers), seed) => _statistics = new ArmStatistics(layers, discount);

    /// <inheritdoc/>
    public override double[] Preferences => _statistics.Preferences();

    /// <inheritdoc/>
    public override int[] Draw()
    {
        double spread = _statistics.PooledDeviation(fallback: 1);
        int[] arms = new int[Samples];
        bool[] taken = new bool[Layers];
        for (int j = 0; j < arms.Length; j++)
        {
            int best = -1;
            double largest = double.NegativeInfinity;
            for (int i = 0; i < Layers; i++)
            {
                // Every layer takes its random number, whatever came before, so that the draws are the same function of the state.
                double normal = Random.NextNormal();
                double count = _statistics.Counts[i];
                double sample = count > 0
                    ? _statistics.Means[i] + (spread * normal / Math.Sqrt(count))
                    : double.MaxValue * (0.5 + (0.01 * normal));
                if (!taken[i] && sample > largest)
                {
                    largest = sample;
                    best = i;
                }
            }

            arms[j] = best;
            taken[best] = true;
        }

        return arms;
    }

    private protected override void Learn(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores) => _statistics.Add(arms, scores);

    private protected override double[] SaveValues() => _statistics.Save();

    private protected override bool RestoreValues(double[] values) => _statistics.Restore(values);
}
