using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// The dropout factors of consecutive elements, eight Philox4x32-10 blocks (32 elements) at a time, as <see cref="Dropout"/> defines them.
/// (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".)
/// </summary>
internal readonly unsafe struct PhiloxStream
{
    /// <summary>Elements that one call of the inner loop makes.</summary>
    internal const int BlockElements = 32;

    private const uint Multiplier0 = 0xD2511F53;
    private const uint Multiplier1 = 0xCD9E8D57;
    private const uint Weyl0 = 0x9E3779B9;
    private const uint Weyl1 = 0xBB67AE85;

    private readonly uint _key0;
    private readonly uint _key1;
    private readonly uint _site;
    private readonly uint _step0;
    private readonly uint _step1;
    private readonly int _threshold;
    private readonly float _scale;

    /// <summary>Reads seed and step of a dropout's device state.</summary>
    internal PhiloxStream(Dropout dropout)
    {
        uint* state = (uint*)dropout.State!.Address;
        (_key0, _key1, _step0, _step1) = (state[0], state[1], state[2], state[3]);
        _site = (uint)dropout.Site;

        // (word >> 8) 2^-24 >= rate, in integers: both sides times 2^24 are exact.
        _threshold = (int)Math.Ceiling(dropout.Rate * 16777216.0);
        _scale = ScaleOf(dropout);
    }

    /// <summary>1 / (1 - rate), the factor of a kept element.</summary>
    internal static float ScaleOf(Dropout dropout) => (float)(1.0 / (1.0 - dropout.Rate));

    /// <summary>Writes the factors (0 or 1 / (1 - rate)) of elements [first, first + count).</summary>
    internal void Factors(float* factors, long first, int count)
    {
        float* whole = stackalloc float[BlockElements];
        int lead = (int)(first & 3);
        uint block = (uint)(first >> 2);
        for (int done = 0; done < count; block += BlockElements / 4)
        {
            if (lead == 0 && count - done >= BlockElements)
            {
                Block(factors + done, block);
                done += BlockElements;
                continue;
            }

            Block(whole, block);
            int take = Math.Min(BlockElements - lead, count - done);
            new ReadOnlySpan<float>(whole + lead, take).CopyTo(new Span<float>(factors + done, take));
            done += take;
            lead = 0;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Block(float* factors, uint block)
    {
        // Lanes hold blocks 0, 2, 4, 6, 1, 3, 5, 7, so that the unpacks below leave the words of two neighbouring blocks side by side.
        Vector256<uint> c0 = Vector256.Create(block) + Vector256.Create(0u, 2, 4, 6, 1, 3, 5, 7);
        Vector256<uint> c1 = Vector256.Create(_site);
        Vector256<uint> c2 = Vector256.Create(_step0);
        Vector256<uint> c3 = Vector256.Create(_step1);
        uint k0 = _key0;
        uint k1 = _key1;
        for (int round = 0; round < 10; round++)
        {
            (Vector256<uint> high0, Vector256<uint> low0) = Product(c0, Multiplier0);
            (Vector256<uint> high1, Vector256<uint> low1) = Product(c2, Multiplier1);
            c0 = high1 ^ c1 ^ Vector256.Create(k0);
            c2 = high0 ^ c3 ^ Vector256.Create(k1);
            c1 = low1;
            c3 = low0;
            k0 += Weyl0;
            k1 += Weyl1;
        }

        Vector256<int> limit = Vector256.Create(_threshold - 1);
        Vector256<float> kept = Vector256.Create(_scale);
        Vector256<uint> f0 = Factor(c0, limit, kept);
        Vector256<uint> f1 = Factor(c1, limit, kept);
        Vector256<uint> f2 = Factor(c2, limit, kept);
        Vector256<uint> f3 = Factor(c3, limit, kept);
        Vector256<ulong> a = UnpackLow(f0, f1).AsUInt64();
        Vector256<ulong> b = UnpackLow(f2, f3).AsUInt64();
        Vector256<ulong> c = UnpackHigh(f0, f1).AsUInt64();
        Vector256<ulong> d = UnpackHigh(f2, f3).AsUInt64();
        UnpackLow(a, b).AsSingle().Store(factors);
        UnpackHigh(a, b).AsSingle().Store(factors + 8);
        UnpackLow(c, d).AsSingle().Store(factors + 16);
        UnpackHigh(c, d).AsSingle().Store(factors + 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Factor(Vector256<uint> word, Vector256<int> limit, Vector256<float> kept) =>
        Vector256.GreaterThan((word >>> 8).AsInt32(), limit).AsUInt32() & kept.AsUInt32();

    /// <summary>High and low words of the eight 32 x 32 bit products.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<uint> High, Vector256<uint> Low) Product(Vector256<uint> x, uint multiplier)
    {
        if (Avx2.IsSupported)
        {
            Vector256<uint> m = Vector256.Create(multiplier);
            Vector256<uint> even = Avx2.Multiply(x, m).AsUInt32();
            Vector256<uint> odd = Avx2.Multiply((x.AsUInt64() >>> 32).AsUInt32(), m).AsUInt32();
            Vector256<uint> high = Avx2.Blend((even.AsUInt64() >>> 32).AsUInt32(), odd, 0b10101010);
            Vector256<uint> low = Avx2.Blend(even, (odd.AsUInt64() << 32).AsUInt32(), 0b10101010);
            return (high, low);
        }

        (Vector256<ulong> lower, Vector256<ulong> upper) = Vector256.Widen(x);
        Vector256<ulong> wide = Vector256.Create((ulong)multiplier);
        lower *= wide;
        upper *= wide;
        return (Vector256.Narrow(lower >>> 32, upper >>> 32), x * Vector256.Create(multiplier));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> UnpackLow(Vector256<uint> x, Vector256<uint> y)
    {
        if (Avx2.IsSupported)
        {
            return Avx2.UnpackLow(x, y);
        }

        return Vector256.Create(x[0], y[0], x[1], y[1], x[4], y[4], x[5], y[5]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> UnpackHigh(Vector256<uint> x, Vector256<uint> y)
    {
        if (Avx2.IsSupported)
        {
            return Avx2.UnpackHigh(x, y);
        }

        return Vector256.Create(x[2], y[2], x[3], y[3], x[6], y[6], x[7], y[7]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> UnpackLow(Vector256<ulong> x, Vector256<ulong> y)
    {
        if (Avx2.IsSupported)
        {
            return Avx2.UnpackLow(x, y);
        }

        return Vector256.Create(x[0], y[0], x[2], y[2]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> UnpackHigh(Vector256<ulong> x, Vector256<ulong> y)
    {
        if (Avx2.IsSupported)
        {
            return Avx2.UnpackHigh(x, y);
        }

        return Vector256.Create(x[1], y[1], x[3], y[3]);
    }
}
