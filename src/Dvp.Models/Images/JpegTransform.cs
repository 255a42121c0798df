using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Dvp.Models.Images;

/// <summary>
/// The 8x8 inverse cosine transform of Loeffler, Ligtenberg and Moschytz (1989) in 32-bit integers: 13 fractional bits in the
/// constants, 2 between the passes, rounding as in the IJG decoder's accurate integer method, so that results are the same.
/// </summary>
internal static class JpegTransform
{
    internal const int ConstantBits = 13;
    internal const int PassBits = 2;

    /// <summary>Where the k-th coefficient of the zigzag order lies in natural order.</summary>
    public static ReadOnlySpan<byte> Order =>
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    /// <summary>Transforms one block.</summary>
    /// <param name="block">(8, 8) quantised coefficients in natural order.</param>
    /// <param name="quantisation">(8, 8) factors in natural order.</param>
    /// <param name="output">(8, 8) samples, rows <paramref name="stride"/> apart.</param>
    /// <param name="stride">Bytes from row to row.</param>
    /// <param name="flat">Only the constant coefficient is not 0.</param>
    public static void Inverse(ReadOnlySpan<short> block, ReadOnlySpan<ushort> quantisation, Span<byte> output, int stride, bool flat)
    {
        if (flat)
        {
            byte value = Clamp((((block[0] * quantisation[0]) << PassBits) + (1 << (PassBits + 2))) >> (PassBits + 3));
            for (int y = 0; y < 8; y++)
            {
                output.Slice(y * stride, 8).Fill(value);
            }

            return;
        }

        if (Avx2.IsSupported)
        {
            JpegVectorTransform.Inverse(block, quantisation, output, stride);
            return;
        }

        Span<int> work = stackalloc int[64];
        for (int i = 0; i < 64; i++)
        {
            work[i] = block[i] * quantisation[i];
        }

        for (int x = 0; x < 8; x++)
        {
            Line(ref work[x], 8, ConstantBits - PassBits);
        }

        for (int y = 0; y < 8; y++)
        {
            Line(ref work[8 * y], 1, ConstantBits + PassBits + 3);
            Span<byte> row = output.Slice(y * stride, 8);
            ReadOnlySpan<int> line = work.Slice(8 * y, 8);
            for (int x = 0; x < 8; x++)
            {
                row[x] = Clamp(line[x]);
            }
        }
    }

    private static byte Clamp(int value)
    {
        value += 128;
        return (uint)value > 255 ? (byte)(~value >> 31) : (byte)value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Line(ref int first, int step, int shift)
    {
        int s0 = first;
        int s1 = Unsafe.Add(ref first, step);
        int s2 = Unsafe.Add(ref first, 2 * step);
        int s3 = Unsafe.Add(ref first, 3 * step);
        int s4 = Unsafe.Add(ref first, 4 * step);
        int s5 = Unsafe.Add(ref first, 5 * step);
        int s6 = Unsafe.Add(ref first, 6 * step);
        int s7 = Unsafe.Add(ref first, 7 * step);
        int half = 1 << (shift - 1);

        // Even part: constants are sqrt(2) cos and sin of multiples of pi/8, in 1/8192.
        int z = (s2 + s6) * 4433;
        int even2 = z - (s6 * 15137);
        int even3 = z + (s2 * 6270);
        int even0 = ((s0 + s4) << ConstantBits) + half;
        int even1 = ((s0 - s4) << ConstantBits) + half;
        int a0 = even0 + even3;
        int a3 = even0 - even3;
        int a1 = even1 + even2;
        int a2 = even1 - even2;

        // Odd part.
        int sum = (s7 + s3 + s5 + s1) * 9633;
        int z1 = (s7 + s1) * -7373;
        int z2 = (s5 + s3) * -20995;
        int z3 = ((s7 + s3) * -16069) + sum;
        int z4 = ((s5 + s1) * -3196) + sum;
        int b0 = (s7 * 2446) + z1 + z3;
        int b1 = (s5 * 16819) + z2 + z4;
        int b2 = (s3 * 25172) + z2 + z3;
        int b3 = (s1 * 12299) + z1 + z4;

        first = (a0 + b3) >> shift;
        Unsafe.Add(ref first, 7 * step) = (a0 - b3) >> shift;
        Unsafe.Add(ref first, step) = (a1 + b2) >> shift;
        Unsafe.Add(ref first, 6 * step) = (a1 - b2) >> shift;
        Unsafe.Add(ref first, 2 * step) = (a2 + b1) >> shift;
        Unsafe.Add(ref first, 5 * step) = (a2 - b1) >> shift;
        Unsafe.Add(ref first, 3 * step) = (a3 + b0) >> shift;
        Unsafe.Add(ref first, 4 * step) = (a3 - b0) >> shift;
    }
}
