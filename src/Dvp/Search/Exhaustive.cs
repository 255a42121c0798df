namespace Dvp.Search;

/// <summary>
/// Scores every layer equally often, in turn, and takes the best mean: the yardstick of the other strategies at equal cost.
/// </summary>
public sealed class Exhaustive : LayerSearch
{
    /// <summary>Its name.</summary>
    public const string StrategyName = "exhaustive";

    private readonly ArmStatistics _statistics;
    private int _next;

    /// <summary>Starts at layer 0.</summary>
    /// <param name="layers">L.</param>
    /// <param name="samples">S, layers a step; with S = L every step compares all on the same data.</param>
    public Exhaustive(int layers, int samples)
        : base(StrategyName, layers, samples, 0) => _statistics = new ArmStatistics(layers, 1);

    /// <inheritdoc/>
    public override double[] Preferences => _statistics.Preferences();

    /// <inheritdoc/>
    public override int[] Draw()
    {
        int[] arms = new int[Samples];
        for (int j = 0; j < arms.Length; j++)
        {
            arms[j] = (_next + j) % Layers;
        }

        _next = (_next + Samples) % Layers;
        return arms;
    }

    private protected override void Learn(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores) => _statistics.Add(arms, scores);

    private protected override double[] SaveValues() => [_next, .. _statistics.Save()];

    private protected override bool RestoreValues(double[] values)
    {
        if (values.Length == 0 || !_statistics.Restore(values.AsSpan(1)))
        {
            return false;
        }

        _next = (int)values[0];
        return true;
    }
}
