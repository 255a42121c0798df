using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// The dropout factors of consecutive elements, eight blocks of <see cref="Philox"/> (32 elements) at a time, as <see cref="Dropout"/>
/// defines them.
/// </summary>
internal readonly unsafe struct PhiloxStream
{
    /// <summary>Elements that one call of the inner loop makes.</summary>
    internal const int BlockElements = 32;

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

    // Four blocks in the 64-bit lanes of a vector, of which only the lower halves count: what the product reads, and where it leaves
    // the low word. Two such sets hide each other's latency. Lanes hold blocks 0, 2, 1, 3, so that the unpacks put them in order.
    private void Block(float* factors, uint block)
    {
        Vector256<ulong> multiplier0 = Vector256.Create((ulong)Philox.Multiplier0);
        Vector256<ulong> multiplier1 = Vector256.Create((ulong)Philox.Multiplier1);
        Vector256<ulong> key0 = Vector256.Create((ulong)_key0);
        Vector256<ulong> key1 = Vector256.Create((ulong)_key1);
        Vector256<ulong> a0 = Vector256.Create((ulong)block) + Vector256.Create(0ul, 2, 1, 3);
        Vector256<ulong> b0 = a0 + Vector256.Create(4ul);
        Vector256<ulong> a1 = Vector256.Create((ulong)_site);
        Vector256<ulong> b1 = a1;
        Vector256<ulong> a2 = Vector256.Create((ulong)_step0);
        Vector256<ulong> b2 = a2;
        Vector256<ulong> a3 = Vector256.Create((ulong)_step1);
        Vector256<ulong> b3 = a3;
        Vector256<ulong> weyl0 = Vector256.Create((ulong)Philox.Weyl0);
        Vector256<ulong> weyl1 = Vector256.Create((ulong)Philox.Weyl1);

        // Two rounds a turn, so that no register needs to be renamed by a move.
        for (int round = 0; round < Philox.Rounds; round += 2)
        {
            Vector256<ulong> p0 = Product(a0, multiplier0);
            Vector256<ulong> p1 = Product(a2, multiplier1);
            Vector256<ulong> q0 = Product(b0, multiplier0);
            Vector256<ulong> q1 = Product(b2, multiplier1);
            a0 = (p1 >>> 32) ^ (a1 ^ key0);
            a2 = (p0 >>> 32) ^ (a3 ^ key1);
            b0 = (q1 >>> 32) ^ (b1 ^ key0);
            b2 = (q0 >>> 32) ^ (b3 ^ key1);
            key0 += weyl0;
            key1 += weyl1;
            a3 = Product(a0, multiplier0);
            a1 = Product(a2, multiplier1);
            b3 = Product(b0, multiplier0);
            b1 = Product(b2, multiplier1);
            a0 = (a1 >>> 32) ^ (p1 ^ key0);
            a2 = (a3 >>> 32) ^ (p0 ^ key1);
            b0 = (b1 >>> 32) ^ (q1 ^ key0);
            b2 = (b3 >>> 32) ^ (q0 ^ key1);
            key0 += weyl0;
            key1 += weyl1;
        }

        Vector256<int> limit = Vector256.Create(_threshold - 1);
        Vector256<float> kept = Vector256.Create(_scale);
        Store(factors, Factors(a0, a1, limit, kept), Factors(a2, a3, limit, kept));
        Store(factors + 16, Factors(b0, b1, limit, kept), Factors(b2, b3, limit, kept));
    }

    /// <summary>The 64-bit products of the lower halves of the lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Product(Vector256<ulong> x, Vector256<ulong> multiplier)
    {
        if (Avx2.IsSupported)
        {
            return Avx2.Multiply(x.AsUInt32(), multiplier.AsUInt32());
        }

        return (x & Vector256.Create(0xFFFFFFFFul)) * multiplier;
    }

    /// <summary>Factors of two words of each block, side by side in its lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Factors(Vector256<ulong> first, Vector256<ulong> second, Vector256<int> limit, Vector256<float> kept)
    {
        Vector256<uint> words = ((first & Vector256.Create(0xFFFFFFFFul)) | (second << 32)).AsUInt32();
        return (Vector256.GreaterThan((words >>> 8).AsInt32(), limit).AsSingle() & kept).AsUInt64();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* factors, Vector256<ulong> firstPairs, Vector256<ulong> secondPairs)
    {
        if (Avx2.IsSupported)
        {
            Avx2.UnpackLow(firstPairs, secondPairs).AsSingle().Store(factors);
            Avx2.UnpackHigh(firstPairs, secondPairs).AsSingle().Store(factors + 8);
            return;
        }

        ReadOnlySpan<int> lanes = [0, 2, 1, 3];
        for (int block = 0; block < 4; block++)
        {
            ((ulong*)factors)[2 * block] = firstPairs[lanes[block]];
            ((ulong*)factors)[(2 * block) + 1] = secondPairs[lanes[block]];
        }
    }
}
