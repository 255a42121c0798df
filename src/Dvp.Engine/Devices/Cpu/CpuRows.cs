using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// Loops over one row. Sums use four vectors of partial sums, added in a fixed order; the tail is scalar.
/// </summary>
internal static unsafe class CpuRows
{
    /// <summary>sum of x</summary>
    internal static float Sum(float* x, int count)
    {
        Vector256<float> s0 = Vector256<float>.Zero;
        Vector256<float> s1 = s0;
        Vector256<float> s2 = s0;
        Vector256<float> s3 = s0;
        int i = 0;
        for (; i + 32 <= count; i += 32)
        {
            s0 += Vector256.Load(x + i);
            s1 += Vector256.Load(x + i + 8);
            s2 += Vector256.Load(x + i + 16);
            s3 += Vector256.Load(x + i + 24);
        }

        for (; i + 8 <= count; i += 8)
        {
            s0 += Vector256.Load(x + i);
        }

        float sum = Vector256.Sum(s0 + s1 + (s2 + s3));
        for (; i < count; i++)
        {
            sum += x[i];
        }

        return sum;
    }

    /// <summary>sum of x y</summary>
    internal static float Dot(float* x, float* y, int count)
    {
        Vector256<float> s0 = Vector256<float>.Zero;
        Vector256<float> s1 = s0;
        Vector256<float> s2 = s0;
        Vector256<float> s3 = s0;
        int i = 0;
        for (; i + 32 <= count; i += 32)
        {
            s0 = Vector256.MultiplyAddEstimate(Vector256.Load(x + i), Vector256.Load(y + i), s0);
            s1 = Vector256.MultiplyAddEstimate(Vector256.Load(x + i + 8), Vector256.Load(y + i + 8), s1);
            s2 = Vector256.MultiplyAddEstimate(Vector256.Load(x + i + 16), Vector256.Load(y + i + 16), s2);
            s3 = Vector256.MultiplyAddEstimate(Vector256.Load(x + i + 24), Vector256.Load(y + i + 24), s3);
        }

        for (; i + 8 <= count; i += 8)
        {
            s0 = Vector256.MultiplyAddEstimate(Vector256.Load(x + i), Vector256.Load(y + i), s0);
        }

        float sum = Vector256.Sum(s0 + s1 + (s2 + s3));
        for (; i < count; i++)
        {
            sum += x[i] * y[i];
        }

        return sum;
    }

    /// <summary>sum of (x - mean)^2</summary>
    internal static float SumOfSquares(float* x, float mean, int count)
    {
        Vector256<float> m = Vector256.Create(mean);
        Vector256<float> s0 = Vector256<float>.Zero;
        Vector256<float> s1 = s0;
        int i = 0;
        for (; i + 16 <= count; i += 16)
        {
            Vector256<float> d0 = Vector256.Load(x + i) - m;
            Vector256<float> d1 = Vector256.Load(x + i + 8) - m;
            s0 = Vector256.MultiplyAddEstimate(d0, d0, s0);
            s1 = Vector256.MultiplyAddEstimate(d1, d1, s1);
        }

        for (; i + 8 <= count; i += 8)
        {
            Vector256<float> d0 = Vector256.Load(x + i) - m;
            s0 = Vector256.MultiplyAddEstimate(d0, d0, s0);
        }

        float sum = Vector256.Sum(s0 + s1);
        for (; i < count; i++)
        {
            float d = x[i] - mean;
            sum += d * d;
        }

        return sum;
    }

    /// <summary>y += x</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Add(float* y, float* x, int count) => Add(y, y, x, count);

    /// <summary>y = a + b; y may be either.</summary>
    internal static void Add(float* y, float* a, float* b, int count)
    {
        int i = 0;
        for (; i + 16 <= count; i += 16)
        {
            Vector256<float> v0 = Vector256.Load(a + i) + Vector256.Load(b + i);
            Vector256<float> v1 = Vector256.Load(a + i + 8) + Vector256.Load(b + i + 8);
            v0.Store(y + i);
            v1.Store(y + i + 8);
        }

        for (; i < count; i++)
        {
            y[i] = a[i] + b[i];
        }
    }

    /// <summary>y += a x</summary>
    internal static void AddScaled(float* y, float a, float* x, int count)
    {
        Vector256<float> factor = Vector256.Create(a);
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            Vector256.MultiplyAddEstimate(factor, Vector256.Load(x + i), Vector256.Load(y + i)).Store(y + i);
        }

        for (; i < count; i++)
        {
            y[i] += a * x[i];
        }
    }

    /// <summary>y = a x; y may be x.</summary>
    internal static void Scale(float* y, float a, float* x, int count)
    {
        Vector256<float> factor = Vector256.Create(a);
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            (factor * Vector256.Load(x + i)).Store(y + i);
        }

        for (; i < count; i++)
        {
            y[i] = a * x[i];
        }
    }

    /// <summary>y = x z; y may be either.</summary>
    internal static void Multiply(float* y, float* x, float* z, int count)
    {
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            (Vector256.Load(x + i) * Vector256.Load(z + i)).Store(y + i);
        }

        for (; i < count; i++)
        {
            y[i] = x[i] * z[i];
        }
    }

    /// <summary>y += x z</summary>
    internal static void AddProduct(float* y, float* x, float* z, int count)
    {
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            Vector256.MultiplyAddEstimate(Vector256.Load(x + i), Vector256.Load(z + i), Vector256.Load(y + i)).Store(y + i);
        }

        for (; i < count; i++)
        {
            y[i] += x[i] * z[i];
        }
    }

    /// <summary>The largest element; -infinity of an empty row.</summary>
    internal static float Max(float* x, int count)
    {
        Vector256<float> m0 = Vector256.Create(float.NegativeInfinity);
        Vector256<float> m1 = m0;
        int i = 0;
        for (; i + 16 <= count; i += 16)
        {
            m0 = Vector256.MaxNative(m0, Vector256.Load(x + i));
            m1 = Vector256.MaxNative(m1, Vector256.Load(x + i + 8));
        }

        m0 = Vector256.MaxNative(m0, m1);
        float max = float.NegativeInfinity;
        for (int lane = 0; lane < 8; lane++)
        {
            max = Math.Max(max, m0[lane]);
        }

        for (; i < count; i++)
        {
            max = Math.Max(max, x[i]);
        }

        return max;
    }
}
