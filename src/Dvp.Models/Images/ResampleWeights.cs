using System.Buffers;

namespace Dvp.Models.Images;

/// <summary>
/// The weights of one pass from a size to another, for a range of outputs, computed in double precision exactly as Pillow does:
/// with s = in / out, f = max(s, 1) and c = (x + 1/2) s, output x reads inputs from trunc(c - 2f + 1/2) to trunc(c + 2f + 1/2),
/// exclusive, with weights cubic((i - c + 1/2) / f), normalised to sum 1 and rounded half away from zero to 22 fractional bits.
/// </summary>
internal struct ResampleWeights
{
    private const double Support = 2;
    private const double A = -0.5;

    private int[] _weights; // stride a row
    private int[] _bounds; // first input and number of inputs
    private int _stride;
    private int _count;

    /// <summary>First input that any output reads, and how many from there to the last.</summary>
    public readonly (int First, int Count) Inputs
    {
        get
        {
            int last = _count - 1;
            int first = _bounds[0];
            return (first, _bounds[2 * last] + _bounds[(2 * last) + 1] - first);
        }
    }

    public readonly int First(int output) => _bounds[2 * output];

    public readonly ReadOnlySpan<int> Of(int output) => _weights.AsSpan(output * _stride, _bounds[(2 * output) + 1]);

    public static ResampleWeights Make(int size, int newSize, int start, int count)
    {
        int stride = MaxTaps(size, newSize);
        ResampleWeights result = new()
        {
            _weights = ArrayPool<int>.Shared.Rent(checked(stride * count)),
            _bounds = ArrayPool<int>.Shared.Rent(2 * count),
            _stride = stride,
            _count = count,
        };
        double[] buffer = ArrayPool<double>.Shared.Rent(stride);
        for (int x = 0; x < count; x++)
        {
            Span<double> exact = Exact(size, newSize, start + x, buffer, out int first);
            for (int i = 0; i < exact.Length; i++)
            {
                result._weights[(x * stride) + i] = (int)((exact[i] * (1 << 22)) + (exact[i] < 0 ? -0.5 : 0.5));
            }

            result._bounds[2 * x] = first;
            result._bounds[(2 * x) + 1] = exact.Length;
        }

        ArrayPool<double>.Shared.Return(buffer);
        return result;
    }

    /// <summary>Most inputs that an output of such a pass can read.</summary>
    public static int MaxTaps(int size, int newSize) => ((int)Math.Ceiling(Support * Math.Max((double)size / newSize, 1)) * 2) + 1;

    /// <summary>The weights of one output before rounding, and its first input.</summary>
    public static Span<double> Exact(int size, int newSize, int output, Span<double> buffer, out int first)
    {
        double scale = (double)size / newSize;
        double filterScale = Math.Max(scale, 1);
        double support = Support * filterScale;
        double reciprocal = 1 / filterScale;
        double centre = (output + 0.5) * scale;
        first = Math.Max(0, (int)(centre - support + 0.5));
        int length = Math.Min(size, (int)(centre + support + 0.5)) - first;
        double sum = 0;
        for (int i = 0; i < length; i++)
        {
            buffer[i] = Cubic((i + first - centre + 0.5) * reciprocal);
            sum += buffer[i];
        }

        for (int i = 0; sum != 0 && i < length; i++)
        {
            buffer[i] /= sum;
        }

        return buffer[..length];
    }

    /// <summary>Gives the memory back; the weights must not be used any more.</summary>
    public void Release()
    {
        if (_weights is not null)
        {
            ArrayPool<int>.Shared.Return(_weights);
            ArrayPool<int>.Shared.Return(_bounds);
            _weights = null!;
            _bounds = null!;
        }
    }

    private static double Cubic(double x)
    {
        x = Math.Abs(x);
        if (x < 1)
        {
            return ((((A + 2) * x) - (A + 3)) * x * x) + 1;
        }

        return x < 2 ? ((((x - 5) * x) + 8) * x - 4) * A : 0;
    }
}
