namespace Dvp.Search;

/// <summary>
/// Count, mean and spread of each arm's scores. With a discount below 1 older scores fade step by step, which follows scores that
/// rise while the model trains (Garivier and Moulines 2011).
/// </summary>
internal sealed class ArmStatistics(int arms, double discount)
{
    private readonly double[] _counts = new double[arms];
    private readonly double[] _means = new double[arms];
    private readonly double[] _squares = new double[arms]; // weighted sums of squared differences from the mean

    internal ReadOnlySpan<double> Counts => _counts;

    internal ReadOnlySpan<double> Means => _means;

    internal double Total => _counts.Sum();

    /// <summary>
    /// The standard deviation of one score, pooled over the arms that were scored more than once; <paramref name="fallback"/> before there
    /// is one. Pooling leaves an arm with two equal scores its uncertainty.
    /// </summary>
    internal double PooledDeviation(double fallback)
    {
        double squares = 0;
        double freedom = 0;
        for (int i = 0; i < _counts.Length; i++)
        {
            if (_counts[i] > 1)
            {
                squares += _squares[i];
                freedom += _counts[i] - 1;
            }
        }

        return freedom > 0 && squares > 0 ? Math.Sqrt(squares / freedom) : fallback;
    }

    internal void Add(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores)
    {
        if (discount < 1)
        {
            for (int i = 0; i < _counts.Length; i++)
            {
                _counts[i] *= discount;
                _squares[i] *= discount;
            }
        }

        for (int j = 0; j < arms.Length; j++)
        {
            int arm = arms[j];
            _counts[arm]++;
            double difference = scores[j] - _means[arm];
            _means[arm] += difference / _counts[arm];
            _squares[arm] += difference * (scores[j] - _means[arm]);
        }
    }

    /// <summary>Mean scores, with negative infinity for an arm that was never scored.</summary>
    internal double[] Preferences()
    {
        double[] result = new double[_counts.Length];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = _counts[i] > 0 ? _means[i] : double.NegativeInfinity;
        }

        return result;
    }

    internal double[] Save() => [.. _counts, .. _means, .. _squares];

    internal bool Restore(ReadOnlySpan<double> values)
    {
        int n = _counts.Length;
        if (values.Length != 3 * n)
        {
            return false;
        }

        values[..n].CopyTo(_counts);
        values[n..(2 * n)].CopyTo(_means);
        values[(2 * n)..].CopyTo(_squares);
        return true;
    }
}
