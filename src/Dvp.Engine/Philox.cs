using System.Runtime.CompilerServices;

namespace Dvp.Engine;

/// <summary>
/// The counter-based generator Philox4x32 with 10 rounds: four random words as a pure function of a 128-bit counter and a 64-bit key
/// (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").
/// </summary>
/// <remarks>
/// With no hidden state any word of a stream is made on its own, in any order and on any device, so that a resumed run, another number
/// of threads and a replayed step draw the same bits. Every operation is on 32-bit lanes; a vector version makes one block a lane.
/// </remarks>
public static class Philox
{
    /// <summary>The number of rounds that the name Philox4x32-10 states.</summary>
    public const int Rounds = 10;

    /// <summary>Multiplier of counter word 0 in a round.</summary>
    public const uint Multiplier0 = 0xD2511F53;

    /// <summary>Multiplier of counter word 2 in a round.</summary>
    public const uint Multiplier1 = 0xCD9E8D57;

    /// <summary>Added to key word 0 after a round (golden ratio).</summary>
    public const uint Weyl0 = 0x9E3779B9;

    /// <summary>Added to key word 1 after a round (square root of three, less one).</summary>
    public const uint Weyl1 = 0xBB67AE85;

    /// <summary>The four words of one counter under a 64-bit key, word 0 in the lower half.</summary>
    /// <param name="counter">Counter words 0 to 3.</param>
    /// <param name="key">The seed.</param>
    public static PhiloxBlock Block(PhiloxBlock counter, ulong key) => Block(counter, (uint)key, (uint)(key >> 32), Rounds);

    /// <summary>
    /// The four words of one counter after a given number of rounds (7 is the fewest that passes statistical tests, 10 the
    /// default).
    /// </summary>
    /// <param name="counter">Counter words 0 to 3.</param>
    /// <param name="key0">Key word 0.</param>
    /// <param name="key1">Key word 1.</param>
    /// <param name="rounds">Number of rounds.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PhiloxBlock Block(PhiloxBlock counter, uint key0, uint key1, int rounds)
    {
        (uint c0, uint c1, uint c2, uint c3) = (counter.Word0, counter.Word1, counter.Word2, counter.Word3);
        for (int round = 0; round < rounds; round++)
        {
            ulong product0 = (ulong)Multiplier0 * c0;
            ulong product1 = (ulong)Multiplier1 * c2;
            c0 = (uint)(product1 >> 32) ^ c1 ^ key0;
            c1 = (uint)product1;
            c2 = (uint)(product0 >> 32) ^ c3 ^ key1;
            c3 = (uint)product0;
            key0 += Weyl0;
            key1 += Weyl1;
        }

        return new PhiloxBlock(c0, c1, c2, c3);
    }

    /// <summary>A word as a number in [0, 1) that single precision holds exactly: (word >> 8) 2^-24.</summary>
    /// <param name="word">A random word.</param>
    public static float ToUniform(uint word) => (word >> 8) * (1.0f / 16777216.0f);

    /// <summary>
    /// The word of an element of a dropout site: word number e mod 4 of the block with counter (e / 4, site, step low, step high) under
    /// the seed. This is the definition that every device's dropout follows.
    /// </summary>
    /// <param name="seed">The run's seed.</param>
    /// <param name="step">The step of training.</param>
    /// <param name="site">Number of the place in the model where the dropout stands.</param>
    /// <param name="element">Index in the tensor's contiguous order; the block number wraps at 2^32.</param>
    public static uint DropoutWord(ulong seed, ulong step, int site, long element)
    {
        PhiloxBlock counter = new((uint)(element >> 2), (uint)site, (uint)step, (uint)(step >> 32));
        return Block(counter, seed)[(int)(element & 3)];
    }

    /// <summary>
    /// Fills the factors of consecutive elements of a dropout: 1 / (1 - rate) where the element's uniform number is at least
    /// <paramref name="rate"/>, 0 elsewhere. The plain form that faster ones are tested against.
    /// </summary>
    /// <param name="factors">Receives one factor an element.</param>
    /// <param name="rate">Probability of dropping an element, in [0, 1).</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="step">The step of training.</param>
    /// <param name="site">Number of the place in the model where the dropout stands.</param>
    /// <param name="first">Index of the first element in the tensor's contiguous order.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rate is not in [0, 1).</exception>
    public static void DropoutFactors(Span<float> factors, float rate, ulong seed, ulong step, int site, long first = 0)
    {
        if (rate is not (>= 0 and < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(rate), rate, "A dropout rate lies in [0, 1).");
        }

        float kept = (float)(1.0 / (1.0 - rate));
        int done = 0;
        while (done < factors.Length)
        {
            long element = first + done;
            PhiloxBlock block = Block(new PhiloxBlock((uint)(element >> 2), (uint)site, (uint)step, (uint)(step >> 32)), seed);
            for (int word = (int)(element & 3); word < 4 && done < factors.Length; word++)
            {
                factors[done++] = ToUniform(block[word]) >= rate ? kept : 0;
            }
        }
    }
}

/// <summary>Four 32-bit words: a counter of <see cref="Philox"/> or what it makes of one.</summary>
/// <param name="Word0">Word 0, the lowest of a counter.</param>
/// <param name="Word1">Word 1.</param>
/// <param name="Word2">Word 2.</param>
/// <param name="Word3">Word 3.</param>
public readonly record struct PhiloxBlock(uint Word0, uint Word1, uint Word2, uint Word3)
{
    /// <summary>Word 0 to 3.</summary>
    /// <param name="index">0 to 3.</param>
    public uint this[int index] => index switch
    {
        0 => Word0,
        1 => Word1,
        2 => Word2,
        3 => Word3,
        _ => throw new ArgumentOutOfRangeException(nameof(index)),
    };
}
