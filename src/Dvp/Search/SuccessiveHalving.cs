namespace Dvp.Search;

/// <summary>
/// Successive halving for a known budget of scores: in each of ceil(log2 L) rounds the layers left are scored equally often, and the
/// better half by mean goes on (Karnin, Koren and Somekh 2013; Jamieson and Talwalkar 2016).
/// </summary>
public sealed class SuccessiveHalving : LayerSearch
{
    /// <summary>Its name.</summary>
    public const string StrategyName = "halving";

    private readonly ArmStatistics _statistics;
    private readonly int _rounds;
    private readonly int _budget;
    private int[] _left;
    private int _drawn;   // scores of this round handed out
    private int _scored;  // and taken back

    /// <summary>Starts with all layers.</summary>
    /// <param name="layers">L.</param>
    /// <param name="samples">S, layers a step.</param>
    /// <param name="steps">Steps that the search will take; the budget is S times that many scores.</param>
    public SuccessiveHalving(int layers, int samples, int steps)
        : base(StrategyName, layers, samples, 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(steps);
        _statistics = new ArmStatistics(layers, 1);
        _budget = checked(samples * steps);
        _left = [.. Enumerable.Range(0, layers)];
        while ((1 << _rounds) < layers)
        {
            _rounds++;
        }
    }

    /// <summary>The layers that are still in the race, in ascending order.</summary>
    public IReadOnlyList<int> Left => _left;

    /// <inheritdoc/>
    public override bool Finished => _left.Length == 1;

    /// <summary>Mean scores of the layers left; negative infinity for the others.</summary>
    public override double[] Preferences
    {
        get
        {
            double[] means = _statistics.Preferences();
            double[] result = new double[Layers];
            Array.Fill(result, double.NegativeInfinity);
            foreach (int layer in _left)
            {
                result[layer] = means[layer];
            }

            return result;
        }
    }

    /// <inheritdoc/>
    public override int Best => Finished ? _left[0] : base.Best;

    /// <summary>Scores of this round: an equal number for each layer left, at least one.</summary>
    private int RoundScores => _left.Length * Math.Max(1, _budget / (_left.Length * Math.Max(1, _rounds)));

    /// <summary>The next layers of the round, fewer than S where the round ends; the winner alone once it is known.</summary>
    public override int[] Draw()
    {
        if (Finished)
        {
            return [_left[0]];
        }

        int[] arms = new int[Math.Min(Samples, RoundScores - _drawn)];
        for (int j = 0; j < arms.Length; j++)
        {
            arms[j] = _left[(_drawn + j) % _left.Length];
        }

        _drawn += arms.Length;
        return arms;
    }

    private protected override void Learn(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores)
    {
        _statistics.Add(arms, scores);
        if (Finished)
        {
            return;
        }

        _scored += arms.Length;
        if (_scored >= RoundScores)
        {
            double[] means = _statistics.Preferences();
            _left = [.. _left.OrderByDescending(i => means[i]).Take((_left.Length + 1) / 2).Order()];
            _drawn = 0;
            _scored = 0;
        }
    }

    private protected override double[] SaveValues() =>
        [_drawn, _scored, .. Enumerable.Range(0, Layers).Select(i => Array.IndexOf(_left, i) >= 0 ? 1.0 : 0.0), .. _statistics.Save()];

    private protected override bool RestoreValues(double[] values)
    {
        if (values.Length < 2 + Layers || !_statistics.Restore(values.AsSpan(2 + Layers)))
        {
            return false;
        }

        _drawn = (int)values[0];
        _scored = (int)values[1];
        _left = [.. Enumerable.Range(0, Layers).Where(i => values[2 + i] == 1)];
        return true;
    }
}
