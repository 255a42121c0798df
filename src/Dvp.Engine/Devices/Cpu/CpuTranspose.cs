using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>Transposes small matrices of floats, eight by eight where the machine has the shuffles.</summary>
internal static unsafe class CpuTranspose
{
    /// <summary>y (columns, paddedRows) = x^T for x (rows, columns); places of y past the rows are 0.</summary>
    internal static void Run(float* y, int paddedRows, float* x, long xStride, int rows, int columns)
    {
        for (int row = 0; row < paddedRows; row += 8)
        {
            int count = Math.Min(8, rows - row);
            int column = 0;
            if (count == 8 && Avx.IsSupported)
            {
                for (; column + 8 <= columns; column += 8)
                {
                    TransposeBlock(y + ((long)column * paddedRows) + row, paddedRows, x + (row * xStride) + column, xStride);
                }
            }

            for (; column < columns; column++)
            {
                float* to = y + ((long)column * paddedRows) + row;
                Vector256<float>.Zero.Store(to);
                for (int i = 0; i < count; i++)
                {
                    to[i] = x[((row + i) * xStride) + column];
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeBlock(float* y, long yStride, float* x, long xStride)
    {
        Vector256<float> r0 = Vector256.Load(x);
        Vector256<float> r1 = Vector256.Load(x + xStride);
        Vector256<float> r2 = Vector256.Load(x + (2 * xStride));
        Vector256<float> r3 = Vector256.Load(x + (3 * xStride));
        Vector256<float> r4 = Vector256.Load(x + (4 * xStride));
        Vector256<float> r5 = Vector256.Load(x + (5 * xStride));
        Vector256<float> r6 = Vector256.Load(x + (6 * xStride));
        Vector256<float> r7 = Vector256.Load(x + (7 * xStride));
        TransposeHalf(r0, r1, r2, r3, out Vector256<float> a0, out Vector256<float> a1, out Vector256<float> a2, out Vector256<float> a3);
        TransposeHalf(r4, r5, r6, r7, out Vector256<float> b0, out Vector256<float> b1, out Vector256<float> b2, out Vector256<float> b3);
        Vector256.Create(a0.GetLower(), b0.GetLower()).Store(y);
        Vector256.Create(a1.GetLower(), b1.GetLower()).Store(y + yStride);
        Vector256.Create(a2.GetLower(), b2.GetLower()).Store(y + (2 * yStride));
        Vector256.Create(a3.GetLower(), b3.GetLower()).Store(y + (3 * yStride));
        Vector256.Create(a0.GetUpper(), b0.GetUpper()).Store(y + (4 * yStride));
        Vector256.Create(a1.GetUpper(), b1.GetUpper()).Store(y + (5 * yStride));
        Vector256.Create(a2.GetUpper(), b2.GetUpper()).Store(y + (6 * yStride));
        Vector256.Create(a3.GetUpper(), b3.GetUpper()).Store(y + (7 * yStride));
    }

    /// <summary>Transposes the 4 x 4 blocks in both halves of four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeHalf(
        Vector256<float> r0, Vector256<float> r1, Vector256<float> r2, Vector256<float> r3,
        out Vector256<float> c0, out Vector256<float> c1, out Vector256<float> c2, out Vector256<float> c3)
    {
        Vector256<double> t0 = Avx.UnpackLow(r0, r1).AsDouble();
        Vector256<double> t1 = Avx.UnpackHigh(r0, r1).AsDouble();
        Vector256<double> t2 = Avx.UnpackLow(r2, r3).AsDouble();
        Vector256<double> t3 = Avx.UnpackHigh(r2, r3).AsDouble();
        c0 = Avx.UnpackLow(t0, t2).AsSingle();
        c1 = Avx.UnpackHigh(t0, t2).AsSingle();
        c2 = Avx.UnpackLow(t1, t3).AsSingle();
        c3 = Avx.UnpackHigh(t1, t3).AsSingle();
    }
}
