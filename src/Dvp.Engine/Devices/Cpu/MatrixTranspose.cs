using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>Copies a matrix of floats with rows and columns exchanged, eight by eight elements at a time in registers.</summary>
internal static unsafe class MatrixTranspose
{
    // Rows and columns done before moving on: a line of the cache of each.
    private const int Block = 16;

    /// <summary>destination[i, j] = source[j, i] for i below <paramref name="rows"/>, j below <paramref name="columns"/>.</summary>
    /// <param name="destination">(rows, columns)</param>
    /// <param name="destinationStride">Floats from one row of the destination to the next.</param>
    /// <param name="source">(columns, rows)</param>
    /// <param name="sourceStride">Floats from one row of the source to the next.</param>
    /// <param name="rows">Rows of the destination.</param>
    /// <param name="columns">Columns of the destination.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Copy(float* destination, nint destinationStride, float* source, nint sourceStride, int rows, int columns)
    {
        for (int i = 0; i < rows; i += Block)
        {
            int iEnd = Math.Min(i + Block, rows);
            for (int j = 0; j < columns; j += Block)
            {
                int jEnd = Math.Min(j + Block, columns);
                float* to = destination + (i * destinationStride) + j;
                float* from = source + (j * sourceStride) + i;
                CopyBlock(to, destinationStride, from, sourceStride, iEnd - i, jEnd - j);
            }
        }
    }

    private static void CopyBlock(float* destination, nint destinationStride, float* source, nint sourceStride, int rows, int columns)
    {
        int wholeRows = Avx.IsSupported ? rows & ~7 : 0;
        int wholeColumns = columns & ~7;
        for (int i = 0; i < wholeRows; i += 8)
        {
            for (int j = 0; j < wholeColumns; j += 8)
            {
                Copy8x8(destination + (i * destinationStride) + j, destinationStride, source + (j * sourceStride) + i, sourceStride);
            }
        }

        for (int i = 0; i < rows; i++)
        {
            for (int j = i < wholeRows ? wholeColumns : 0; j < columns; j++)
            {
                destination[(i * destinationStride) + j] = source[(j * sourceStride) + i];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy8x8(float* destination, nint destinationStride, float* source, nint sourceStride)
    {
        float* lower = source + (4 * sourceStride);
        Vector256<float> r0 = Vector256.Load(source);
        Vector256<float> r1 = Vector256.Load(source + sourceStride);
        Vector256<float> r2 = Vector256.Load(source + (2 * sourceStride));
        Vector256<float> r3 = Vector256.Load(source + (3 * sourceStride));
        Vector256<float> r4 = Vector256.Load(lower);
        Vector256<float> r5 = Vector256.Load(lower + sourceStride);
        Vector256<float> r6 = Vector256.Load(lower + (2 * sourceStride));
        Vector256<float> r7 = Vector256.Load(lower + (3 * sourceStride));

        // Pairs of rows interleaved, then pairs of pairs: four rows' elements of one column stand together in each half.
        Vector256<float> p0 = Avx.UnpackLow(r0, r1);
        Vector256<float> p1 = Avx.UnpackHigh(r0, r1);
        Vector256<float> p2 = Avx.UnpackLow(r2, r3);
        Vector256<float> p3 = Avx.UnpackHigh(r2, r3);
        Vector256<float> p4 = Avx.UnpackLow(r4, r5);
        Vector256<float> p5 = Avx.UnpackHigh(r4, r5);
        Vector256<float> p6 = Avx.UnpackLow(r6, r7);
        Vector256<float> p7 = Avx.UnpackHigh(r6, r7);
        r0 = Avx.Shuffle(p0, p2, 0x44);
        r1 = Avx.Shuffle(p0, p2, 0xEE);
        r2 = Avx.Shuffle(p1, p3, 0x44);
        r3 = Avx.Shuffle(p1, p3, 0xEE);
        r4 = Avx.Shuffle(p4, p6, 0x44);
        r5 = Avx.Shuffle(p4, p6, 0xEE);
        r6 = Avx.Shuffle(p5, p7, 0x44);
        r7 = Avx.Shuffle(p5, p7, 0xEE);
        lower = destination + (4 * destinationStride);
        Avx.Permute2x128(r0, r4, 0x20).Store(destination);
        Avx.Permute2x128(r1, r5, 0x20).Store(destination + destinationStride);
        Avx.Permute2x128(r2, r6, 0x20).Store(destination + (2 * destinationStride));
        Avx.Permute2x128(r3, r7, 0x20).Store(destination + (3 * destinationStride));
        Avx.Permute2x128(r0, r4, 0x31).Store(lower);
        Avx.Permute2x128(r1, r5, 0x31).Store(lower + destinationStride);
        Avx.Permute2x128(r2, r6, 0x31).Store(lower + (2 * destinationStride));
        Avx.Permute2x128(r3, r7, 0x31).Store(lower + (3 * destinationStride));
    }
}
