using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dvp.Models.Images;

/// <summary>The inverse transform of <see cref="JpegTransform"/> with eight lines side by side in AVX2 registers; the same bits.</summary>
internal static class JpegVectorTransform
{
    /// <summary>Transforms one block; parameters as for the scalar one.</summary>
    public static void Inverse(ReadOnlySpan<short> block, ReadOnlySpan<ushort> quantisation, Span<byte> output, int stride)
    {
        ref short b = ref MemoryMarshal.GetReference(block[..64]);
        ref ushort q = ref MemoryMarshal.GetReference(quantisation[..64]);
        Vector256<int> r0 = Load(ref b, ref q, 0);
        Vector256<int> r1 = Load(ref b, ref q, 8);
        Vector256<int> r2 = Load(ref b, ref q, 16);
        Vector256<int> r3 = Load(ref b, ref q, 24);
        Vector256<int> r4 = Load(ref b, ref q, 32);
        Vector256<int> r5 = Load(ref b, ref q, 40);
        Vector256<int> r6 = Load(ref b, ref q, 48);
        Vector256<int> r7 = Load(ref b, ref q, 56);
        Lines(ref r0, ref r1, ref r2, ref r3, ref r4, ref r5, ref r6, ref r7, JpegTransform.ConstantBits - JpegTransform.PassBits);
        Transpose(ref r0, ref r1, ref r2, ref r3, ref r4, ref r5, ref r6, ref r7);
        Lines(ref r0, ref r1, ref r2, ref r3, ref r4, ref r5, ref r6, ref r7, JpegTransform.ConstantBits + JpegTransform.PassBits + 3);
        Transpose(ref r0, ref r1, ref r2, ref r3, ref r4, ref r5, ref r6, ref r7);
        ref byte o = ref MemoryMarshal.GetReference(output[..((7 * stride) + 8)]);
        Store(r0, r1, ref o, stride);
        Store(r2, r3, ref Unsafe.Add(ref o, 2 * stride), stride);
        Store(r4, r5, ref Unsafe.Add(ref o, 4 * stride), stride);
        Store(r6, r7, ref Unsafe.Add(ref o, 6 * stride), stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Load(ref short block, ref ushort quantisation, int at) =>
        Avx2.ConvertToVector256Int32(Vector128.LoadUnsafe(ref block, (nuint)at))
        * Avx2.ConvertToVector256Int32(Vector128.LoadUnsafe(ref quantisation, (nuint)at));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Lines(ref Vector256<int> r0, ref Vector256<int> r1, ref Vector256<int> r2, ref Vector256<int> r3,
        ref Vector256<int> r4, ref Vector256<int> r5, ref Vector256<int> r6, ref Vector256<int> r7, int shift)
    {
        Vector256<int> half = Vector256.Create(1 << (shift - 1));
        Vector256<int> z = (r2 + r6) * 4433;
        Vector256<int> even2 = z - (r6 * 15137);
        Vector256<int> even3 = z + (r2 * 6270);
        Vector256<int> even0 = ((r0 + r4) << JpegTransform.ConstantBits) + half;
        Vector256<int> even1 = ((r0 - r4) << JpegTransform.ConstantBits) + half;
        Vector256<int> a0 = even0 + even3;
        Vector256<int> a3 = even0 - even3;
        Vector256<int> a1 = even1 + even2;
        Vector256<int> a2 = even1 - even2;
        Vector256<int> z3 = r7 + r3;
        Vector256<int> z4 = r5 + r1;
        Vector256<int> sum = (z3 + z4) * 9633;
        z3 = sum - (z3 * 16069);
        z4 = sum - (z4 * 3196);
        Vector256<int> z1 = (r7 + r1) * -7373;
        Vector256<int> z2 = (r5 + r3) * -20995;
        Vector256<int> b0 = (r7 * 2446) + z1 + z3;
        Vector256<int> b1 = (r5 * 16819) + z2 + z4;
        Vector256<int> b2 = (r3 * 25172) + z2 + z3;
        Vector256<int> b3 = (r1 * 12299) + z1 + z4;
        r0 = (a0 + b3) >> shift;
        r7 = (a0 - b3) >> shift;
        r1 = (a1 + b2) >> shift;
        r6 = (a1 - b2) >> shift;
        r2 = (a2 + b1) >> shift;
        r5 = (a2 - b1) >> shift;
        r3 = (a3 + b0) >> shift;
        r4 = (a3 - b0) >> shift;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(ref Vector256<int> r0, ref Vector256<int> r1, ref Vector256<int> r2, ref Vector256<int> r3,
        ref Vector256<int> r4, ref Vector256<int> r5, ref Vector256<int> r6, ref Vector256<int> r7)
    {
        (Vector256<int> t0, Vector256<int> t1, Vector256<int> t2, Vector256<int> t3) = Quarters(r0, r1, r2, r3);
        (Vector256<int> u0, Vector256<int> u1, Vector256<int> u2, Vector256<int> u3) = Quarters(r4, r5, r6, r7);
        r0 = Avx2.Permute2x128(t0, u0, 0x20);
        r1 = Avx2.Permute2x128(t1, u1, 0x20);
        r2 = Avx2.Permute2x128(t2, u2, 0x20);
        r3 = Avx2.Permute2x128(t3, u3, 0x20);
        r4 = Avx2.Permute2x128(t0, u0, 0x31);
        r5 = Avx2.Permute2x128(t1, u1, 0x31);
        r6 = Avx2.Permute2x128(t2, u2, 0x31);
        r7 = Avx2.Permute2x128(t3, u3, 0x31);
    }

    /// <summary>Transposes the 4x4 blocks in both halves of four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<int> C0, Vector256<int> C1, Vector256<int> C2, Vector256<int> C3) Quarters(Vector256<int> a,
        Vector256<int> b, Vector256<int> c, Vector256<int> d)
    {
        Vector256<long> low01 = Avx2.UnpackLow(a, b).AsInt64();
        Vector256<long> high01 = Avx2.UnpackHigh(a, b).AsInt64();
        Vector256<long> low23 = Avx2.UnpackLow(c, d).AsInt64();
        Vector256<long> high23 = Avx2.UnpackHigh(c, d).AsInt64();
        return (Avx2.UnpackLow(low01, low23).AsInt32(), Avx2.UnpackHigh(low01, low23).AsInt32(),
            Avx2.UnpackLow(high01, high23).AsInt32(), Avx2.UnpackHigh(high01, high23).AsInt32());
    }

    /// <summary>Two rows: 128 added, saturated to bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<int> first, Vector256<int> second, ref byte output, int stride)
    {
        Vector256<int> middle = Vector256.Create(128);
        first += middle;
        second += middle;
        Vector128<short> one = Sse2.PackSignedSaturate(first.GetLower(), first.GetUpper());
        Vector128<short> two = Sse2.PackSignedSaturate(second.GetLower(), second.GetUpper());
        Vector128<ulong> bytes = Sse2.PackUnsignedSaturate(one, two).AsUInt64();
        Unsafe.WriteUnaligned(ref output, bytes.ToScalar());
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref output, stride), bytes.GetElement(1));
    }
}
