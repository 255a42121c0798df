namespace Dvp.Engine.IO;

/// <summary>Goes through two equally long lists of values and keeps the errors.</summary>
internal sealed class DifferenceCounter
{
    private readonly CompareRule _rule;
    private readonly int[] _shape;
    private double _maxAbsolute;
    private double _sumAbsolute;
    private double _sumSquares;
    private double _expectedSquares;
    private double _largestExpected;
    private bool _notANumber;
    private long _count;
    private long _over;
    private long _first = -1;
    private (double Actual, double Expected) _firstValues;

    public DifferenceCounter(CompareRule rule, ReadOnlySpan<int> shape)
    {
        _rule = rule;
        _shape = shape.ToArray();
    }

    /// <summary>Compares floating-point values, and any values under bounds.</summary>
    /// <param name="actual">The values under test.</param>
    /// <param name="expected">The values to compare with.</param>
    /// <param name="scale">Largest magnitude of the tensor that <see cref="CompareRule.ScaleOf"/> names; else NaN.</param>
    public DifferenceCounter Count(ReadOnlySpan<double> actual, ReadOnlySpan<double> expected, double scale)
    {
        if (actual.Length != expected.Length)
        {
            throw new ArgumentException($"{actual.Length} values cannot be compared with {expected.Length}.", nameof(actual));
        }

        _count = expected.Length;
        _largestExpected = TensorDiff.Largest(expected);
        double absolute = _rule.AbsoluteTolerance * Scale(scale);
        for (int i = 0; i < expected.Length; i++)
        {
            (double x, double reference) = (actual[i], expected[i]);
            if (x == reference || (double.IsNaN(x) && double.IsNaN(reference)))
            {
                _expectedSquares += double.IsFinite(reference) ? reference * reference : 0;
                continue;
            }

            double difference = Math.Abs(x - reference);
            Add(difference, reference);
            bool within = _rule.Kind switch
            {
                CompareKind.Tolerance =>
                    double.IsFinite(reference) && difference <= absolute + (_rule.RelativeTolerance * Math.Abs(reference)),
                CompareKind.Bounds => difference <= Bound(i),
                _ => false,
            };
            if (!within)
            {
                Over(i, x, reference);
            }
        }

        return this;
    }

    /// <summary>Compares integers: they must be equal.</summary>
    public DifferenceCounter Count(ReadOnlySpan<long> actual, ReadOnlySpan<long> expected)
    {
        _count = expected.Length;
        for (int i = 0; i < expected.Length; i++)
        {
            _largestExpected = Math.Max(_largestExpected, Math.Abs((double)expected[i]));
            if (actual[i] == expected[i])
            {
                _expectedSquares += (double)expected[i] * expected[i];
                continue;
            }

            Add(Math.Abs((double)((Int128)actual[i] - expected[i])), expected[i]);
            Over(i, actual[i], expected[i]);
        }

        return this;
    }

    /// <summary>The outcome.</summary>
    public TensorDifference Finish(TensorDifference outcome)
    {
        double mean = _count == 0 ? 0 : _sumAbsolute / _count;
        bool over = _over > 0 || (_rule.Kind == CompareKind.Bounds && !(mean <= _rule.MeanDifference));
        double max = _notANumber ? double.NaN : _maxAbsolute;
        return outcome with
        {
            Kind = over ? DifferenceKind.Over : DifferenceKind.Within,
            Count = _count,
            MaxAbsolute = max,
            RelativeToMax = max == 0 ? 0 : max / _largestExpected,
            RelativeRms = _sumSquares == 0 ? 0 : Math.Sqrt(_sumSquares / _expectedSquares),
            MeanAbsolute = mean,
            CountOver = _over,
            FirstOver = _first < 0 ? null : TensorShape.Coordinates(_shape, _first),
            Actual = _firstValues.Actual,
            Expected = _firstValues.Expected,
        };
    }

    private double Scale(double scale)
    {
        if (_rule.ScaleOf is not null)
        {
            return scale > 0 ? scale : 1;
        }

        return _rule.RelativeTo == RelativeTo.Max ? _largestExpected : 1;
    }

    private double Bound(int position)
    {
        if (_rule.LargestDifferenceInLastColumns is { } last && _shape.Length >= 2)
        {
            int column = position / _shape[^1] % _shape[^2];
            return column >= _shape[^2] - 2 ? last : _rule.LargestDifference;
        }

        return _rule.LargestDifference;
    }

    private void Add(double difference, double reference)
    {
        _notANumber |= double.IsNaN(difference);
        _maxAbsolute = Math.Max(_maxAbsolute, difference);
        _sumAbsolute += difference;
        _sumSquares += difference * difference;
        _expectedSquares += double.IsFinite(reference) ? reference * reference : 0;
    }

    private void Over(int position, double actual, double expected)
    {
        if (_over++ == 0)
        {
            (_first, _firstValues) = (position, (actual, expected));
        }
    }
}
