using System.Globalization;

namespace Dvp.Reporting;

/// <summary>A linear axis with ticks at round numbers (1, 2 or 5 times a power of ten).</summary>
internal sealed class Axis
{
    private readonly double _low;
    private readonly double _high;
    private readonly double _from;
    private readonly double _to;
    private readonly double _step;

    private Axis(double low, double high, double from, double to, double step) =>
        (_low, _high, _from, _to, _step) = (low, high, from, to, step);

    /// <summary>The values with a tick.</summary>
    public IEnumerable<double> Ticks
    {
        get
        {
            int first = (int)Math.Ceiling((_low / _step) - 1e-9), last = (int)Math.Floor((_high / _step) + 1e-9);
            return Enumerable.Range(first, last - first + 1).Select(i => i * _step);
        }
    }

    /// <summary>An axis that shows [low, high] between two pixel positions.</summary>
    /// <param name="low">The smallest value.</param>
    /// <param name="high">The largest value.</param>
    /// <param name="from">Where the smallest is drawn.</param>
    /// <param name="to">Where the largest is drawn.</param>
    /// <param name="tight">End at the values instead of at ticks.</param>
    public static Axis Over(double low, double high, double from, double to, bool tight)
    {
        if (high - low < 1e-12 * Math.Max(1, Math.Abs(high)))
        {
            double half = high == 0 ? 0.5 : 0.05 * Math.Abs(high);
            (low, high) = (low - half, high + half);
        }

        double rough = (high - low) / 5, power = Math.Pow(10, Math.Floor(Math.Log10(rough))), digit = rough / power;
        double step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
        return tight
            ? new Axis(low, high, from, to, step)
            : new Axis(Math.Floor((low / step) + 1e-9) * step, Math.Ceiling((high / step) - 1e-9) * step, from, to, step);
    }

    /// <summary>Where a value is drawn.</summary>
    public double At(double value) => _from + ((value - _low) / (_high - _low) * (_to - _from));

    /// <summary>A tick's text, with the decimals that the distance of ticks needs.</summary>
    public string Text(double tick)
    {
        int decimals = Math.Max(0, (int)-Math.Floor(Math.Log10(_step) + 1e-9));
        string format = decimals > 6 ? "0.#e+0" : "F" + decimals.ToString(CultureInfo.InvariantCulture);
        return (Math.Abs(tick) < _step / 1e6 ? 0 : tick).ToString(format, CultureInfo.InvariantCulture);
    }
}
