using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// Small matrix products on operands as they lie, without packing: for attention, whose matrices fit the first caches.
/// </summary>
internal static unsafe class CpuProducts
{
    /// <summary>
    /// C (m, n) = alpha A B, or += where <paramref name="accumulate"/>; vectors run along the rows of B.
    /// </summary>
    /// <param name="c">Rows of n elements, <paramref name="cStride"/> apart.</param>
    /// <param name="cStride">Elements from one row of C to the next.</param>
    /// <param name="a">Element (i, k) is a[i * aRow + k * aStep]: a matrix or its transpose.</param>
    /// <param name="aRow">Elements from one row of A to the next.</param>
    /// <param name="aStep">Elements from one column of A to the next.</param>
    /// <param name="b">(k, n), rows <paramref name="bStride"/> apart.</param>
    /// <param name="bStride">Elements from one row of B to the next.</param>
    /// <param name="m">Rows of C.</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">Terms of each sum.</param>
    /// <param name="alpha">Factor on the product.</param>
    /// <param name="accumulate">Whether to add to C.</param>
    internal static void Multiply(
        float* c, long cStride, float* a, long aRow, long aStep, float* b, long bStride, int m, int n, int k, float alpha, bool accumulate)
    {
        int tiled = m & ~3;
        int column = 0;
        while (n - column >= 8 && tiled > 0)
        {
            int vectors = (n - column) >> 3;
            int width = vectors is 3 or > 4 ? 3 : Math.Min(vectors, 2);
            for (int row = 0; row < tiled; row += 4)
            {
                float* to = c + (row * cStride) + column;
                float* from = a + (row * aRow);
                switch (width)
                {
                    case 3:
                        FourByThree(to, cStride, from, aRow, aStep, b + column, bStride, k, alpha, accumulate);
                        break;
                    case 2:
                        FourByTwo(to, cStride, from, aRow, aStep, b + column, bStride, k, alpha, accumulate);
                        break;
                    default:
                        FourByOne(to, cStride, from, aRow, aStep, b + column, bStride, k, alpha, accumulate);
                        break;
                }
            }

            column += width * 8;
        }

        for (int row = tiled; row < m; row++)
        {
            OneRow(c + (row * cStride), a + (row * aRow), aStep, b, bStride, n >> 3, k, alpha, accumulate);
        }

        for (column = n & ~7; column < n; column++)
        {
            for (int row = 0; row < m; row++)
            {
                float sum = 0;
                for (int i = 0; i < k; i++)
                {
                    sum += a[(row * aRow) + (i * aStep)] * b[(i * bStride) + column];
                }

                float* to = c + (row * cStride) + column;
                *to = accumulate ? *to + (alpha * sum) : alpha * sum;
            }
        }
    }

    /// <summary>
    /// C (m, n) = alpha A B^T with A (m, k) and B (n, k), or += where <paramref name="accumulate"/>; vectors run along both rows.
    /// </summary>
    internal static void MultiplyTransposed(
        float* c, long cStride, float* a, long aStride, float* b, long bStride, int m, int n, int k, float alpha, bool accumulate)
    {
        for (int column = 0; column < n; column += 4)
        {
            for (int row = 0; row < m; row += 2)
            {
                if (column + 4 <= n && row + 2 <= m)
                {
                    TwoByFourDots(
                        c + (row * cStride) + column, cStride, a + (row * aStride), aStride, b + (column * bStride), bStride,
                        k, alpha, accumulate);
                    continue;
                }

                for (int i = row; i < Math.Min(row + 2, m); i++)
                {
                    for (int j = column; j < Math.Min(column + 4, n); j++)
                    {
                        float* to = c + (i * cStride) + j;
                        float dot = alpha * CpuRows.Dot(a + (i * aStride), b + (j * bStride), k);
                        *to = accumulate ? *to + dot : dot;
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* c, Vector256<float> value, Vector256<float> alpha, bool accumulate)
    {
        if (accumulate)
        {
            Vector256.MultiplyAddEstimate(alpha, value, Vector256.Load(c)).Store(c);
        }
        else
        {
            (alpha * value).Store(c);
        }
    }

    private static void FourByThree(
        float* c, long cStride, float* a, long aRow, long aStep, float* b, long bStride, int k, float alpha, bool accumulate)
    {
        Vector256<float> s00 = Vector256<float>.Zero, s01 = s00, s02 = s00;
        Vector256<float> s10 = s00, s11 = s00, s12 = s00;
        Vector256<float> s20 = s00, s21 = s00, s22 = s00;
        Vector256<float> s30 = s00, s31 = s00, s32 = s00;
        float* a1 = a + aRow;
        float* a2 = a1 + aRow;
        float* a3 = a2 + aRow;
        for (int i = 0; i < k; i++)
        {
            Vector256<float> b0 = Vector256.Load(b);
            Vector256<float> b1 = Vector256.Load(b + 8);
            Vector256<float> b2 = Vector256.Load(b + 16);
            Vector256<float> x = Vector256.Create(*a);
            s00 = Vector256.MultiplyAddEstimate(x, b0, s00);
            s01 = Vector256.MultiplyAddEstimate(x, b1, s01);
            s02 = Vector256.MultiplyAddEstimate(x, b2, s02);
            x = Vector256.Create(*a1);
            s10 = Vector256.MultiplyAddEstimate(x, b0, s10);
            s11 = Vector256.MultiplyAddEstimate(x, b1, s11);
            s12 = Vector256.MultiplyAddEstimate(x, b2, s12);
            x = Vector256.Create(*a2);
            s20 = Vector256.MultiplyAddEstimate(x, b0, s20);
            s21 = Vector256.MultiplyAddEstimate(x, b1, s21);
            s22 = Vector256.MultiplyAddEstimate(x, b2, s22);
            x = Vector256.Create(*a3);
            s30 = Vector256.MultiplyAddEstimate(x, b0, s30);
            s31 = Vector256.MultiplyAddEstimate(x, b1, s31);
            s32 = Vector256.MultiplyAddEstimate(x, b2, s32);
            a += aStep;
            a1 += aStep;
            a2 += aStep;
            a3 += aStep;
            b += bStride;
        }

        Vector256<float> factor = Vector256.Create(alpha);
        Put(c, s00, factor, accumulate);
        Put(c + 8, s01, factor, accumulate);
        Put(c + 16, s02, factor, accumulate);
        c += cStride;
        Put(c, s10, factor, accumulate);
        Put(c + 8, s11, factor, accumulate);
        Put(c + 16, s12, factor, accumulate);
        c += cStride;
        Put(c, s20, factor, accumulate);
        Put(c + 8, s21, factor, accumulate);
        Put(c + 16, s22, factor, accumulate);
        c += cStride;
        Put(c, s30, factor, accumulate);
        Put(c + 8, s31, factor, accumulate);
        Put(c + 16, s32, factor, accumulate);
    }

    private static void FourByTwo(
        float* c, long cStride, float* a, long aRow, long aStep, float* b, long bStride, int k, float alpha, bool accumulate)
    {
        Vector256<float> s00 = Vector256<float>.Zero, s01 = s00;
        Vector256<float> s10 = s00, s11 = s00;
        Vector256<float> s20 = s00, s21 = s00;
        Vector256<float> s30 = s00, s31 = s00;
        float* a1 = a + aRow;
        float* a2 = a1 + aRow;
        float* a3 = a2 + aRow;
        for (int i = 0; i < k; i++)
        {
            Vector256<float> b0 = Vector256.Load(b);
            Vector256<float> b1 = Vector256.Load(b + 8);
            Vector256<float> x = Vector256.Create(*a);
            s00 = Vector256.MultiplyAddEstimate(x, b0, s00);
            s01 = Vector256.MultiplyAddEstimate(x, b1, s01);
            x = Vector256.Create(*a1);
            s10 = Vector256.MultiplyAddEstimate(x, b0, s10);
            s11 = Vector256.MultiplyAddEstimate(x, b1, s11);
            x = Vector256.Create(*a2);
            s20 = Vector256.MultiplyAddEstimate(x, b0, s20);
            s21 = Vector256.MultiplyAddEstimate(x, b1, s21);
            x = Vector256.Create(*a3);
            s30 = Vector256.MultiplyAddEstimate(x, b0, s30);
            s31 = Vector256.MultiplyAddEstimate(x, b1, s31);
            a += aStep;
            a1 += aStep;
            a2 += aStep;
            a3 += aStep;
            b += bStride;
        }

        Vector256<float> factor = Vector256.Create(alpha);
        Put(c, s00, factor, accumulate);
        Put(c + 8, s01, factor, accumulate);
        c += cStride;
        Put(c, s10, factor, accumulate);
        Put(c + 8, s11, factor, accumulate);
        c += cStride;
        Put(c, s20, factor, accumulate);
        Put(c + 8, s21, factor, accumulate);
        c += cStride;
        Put(c, s30, factor, accumulate);
        Put(c + 8, s31, factor, accumulate);
    }

    private static void FourByOne(
        float* c, long cStride, float* a, long aRow, long aStep, float* b, long bStride, int k, float alpha, bool accumulate)
    {
        Vector256<float> s0 = Vector256<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
        float* a1 = a + aRow;
        float* a2 = a1 + aRow;
        float* a3 = a2 + aRow;
        for (int i = 0; i < k; i++)
        {
            Vector256<float> b0 = Vector256.Load(b);
            s0 = Vector256.MultiplyAddEstimate(Vector256.Create(*a), b0, s0);
            s1 = Vector256.MultiplyAddEstimate(Vector256.Create(*a1), b0, s1);
            s2 = Vector256.MultiplyAddEstimate(Vector256.Create(*a2), b0, s2);
            s3 = Vector256.MultiplyAddEstimate(Vector256.Create(*a3), b0, s3);
            a += aStep;
            a1 += aStep;
            a2 += aStep;
            a3 += aStep;
            b += bStride;
        }

        Vector256<float> factor = Vector256.Create(alpha);
        Put(c, s0, factor, accumulate);
        Put(c + cStride, s1, factor, accumulate);
        Put(c + (2 * cStride), s2, factor, accumulate);
        Put(c + (3 * cStride), s3, factor, accumulate);
    }

    /// <summary>One row: four vectors at a time, then one at a time with four sums to hide the latency of the addition.</summary>
    private static void OneRow(float* c, float* a, long aStep, float* b, long bStride, int vectors, int k, float alpha, bool accumulate)
    {
        Vector256<float> factor = Vector256.Create(alpha);
        for (; vectors >= 4; vectors -= 4, c += 32, b += 32)
        {
            Vector256<float> s0 = Vector256<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
            float* at = a;
            float* from = b;
            for (int i = 0; i < k; i++)
            {
                Vector256<float> x = Vector256.Create(*at);
                s0 = Vector256.MultiplyAddEstimate(x, Vector256.Load(from), s0);
                s1 = Vector256.MultiplyAddEstimate(x, Vector256.Load(from + 8), s1);
                s2 = Vector256.MultiplyAddEstimate(x, Vector256.Load(from + 16), s2);
                s3 = Vector256.MultiplyAddEstimate(x, Vector256.Load(from + 24), s3);
                at += aStep;
                from += bStride;
            }

            Put(c, s0, factor, accumulate);
            Put(c + 8, s1, factor, accumulate);
            Put(c + 16, s2, factor, accumulate);
            Put(c + 24, s3, factor, accumulate);
        }

        for (; vectors > 0; vectors--, c += 8, b += 8)
        {
            Vector256<float> s0 = Vector256<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
            int i = 0;
            for (; i + 4 <= k; i += 4)
            {
                float* at = a + (i * aStep);
                float* from = b + (i * bStride);
                s0 = Vector256.MultiplyAddEstimate(Vector256.Create(*at), Vector256.Load(from), s0);
                s1 = Vector256.MultiplyAddEstimate(Vector256.Create(at[aStep]), Vector256.Load(from + bStride), s1);
                s2 = Vector256.MultiplyAddEstimate(Vector256.Create(at[2 * aStep]), Vector256.Load(from + (2 * bStride)), s2);
                s3 = Vector256.MultiplyAddEstimate(Vector256.Create(at[3 * aStep]), Vector256.Load(from + (3 * bStride)), s3);
            }

            for (; i < k; i++)
            {
                s0 = Vector256.MultiplyAddEstimate(Vector256.Create(a[i * aStep]), Vector256.Load(b + (i * bStride)), s0);
            }

            Put(c, s0 + s1 + (s2 + s3), factor, accumulate);
        }
    }

    private static void TwoByFourDots(
        float* c, long cStride, float* a, long aStride, float* b, long bStride, int k, float alpha, bool accumulate)
    {
        Vector256<float> s00 = Vector256<float>.Zero, s01 = s00, s02 = s00, s03 = s00;
        Vector256<float> s10 = s00, s11 = s00, s12 = s00, s13 = s00;
        float* a1 = a + aStride;
        float* b1 = b + bStride;
        float* b2 = b1 + bStride;
        float* b3 = b2 + bStride;
        int i = 0;
        for (; i + 8 <= k; i += 8)
        {
            Vector256<float> x0 = Vector256.Load(a + i);
            Vector256<float> x1 = Vector256.Load(a1 + i);
            Vector256<float> y = Vector256.Load(b + i);
            s00 = Vector256.MultiplyAddEstimate(x0, y, s00);
            s10 = Vector256.MultiplyAddEstimate(x1, y, s10);
            y = Vector256.Load(b1 + i);
            s01 = Vector256.MultiplyAddEstimate(x0, y, s01);
            s11 = Vector256.MultiplyAddEstimate(x1, y, s11);
            y = Vector256.Load(b2 + i);
            s02 = Vector256.MultiplyAddEstimate(x0, y, s02);
            s12 = Vector256.MultiplyAddEstimate(x1, y, s12);
            y = Vector256.Load(b3 + i);
            s03 = Vector256.MultiplyAddEstimate(x0, y, s03);
            s13 = Vector256.MultiplyAddEstimate(x1, y, s13);
        }

        float* sums = stackalloc float[8];
        sums[0] = Vector256.Sum(s00);
        sums[1] = Vector256.Sum(s01);
        sums[2] = Vector256.Sum(s02);
        sums[3] = Vector256.Sum(s03);
        sums[4] = Vector256.Sum(s10);
        sums[5] = Vector256.Sum(s11);
        sums[6] = Vector256.Sum(s12);
        sums[7] = Vector256.Sum(s13);
        for (; i < k; i++)
        {
            for (int j = 0; j < 4; j++)
            {
                float y = b[(j * bStride) + i];
                sums[j] += a[i] * y;
                sums[4 + j] += a1[i] * y;
            }
        }

        for (int j = 0; j < 4; j++)
        {
            c[j] = accumulate ? c[j] + (alpha * sums[j]) : alpha * sums[j];
            c[cStride + j] = accumulate ? c[cStride + j] + (alpha * sums[4 + j]) : alpha * sums[4 + j];
        }
    }
}
