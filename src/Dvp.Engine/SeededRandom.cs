namespace Dvp.Engine;

/// <summary>Where a <see cref="SeededRandom"/> stands; enough to go on with the very next number.</summary>
/// <param name="Seed">The seed.</param>
/// <param name="Stream">The stream under that seed.</param>
/// <param name="Position">Words drawn so far.</param>
public readonly record struct SeededRandomState(ulong Seed, uint Stream, ulong Position);

/// <summary>
/// A sequence of random numbers over <see cref="Philox"/>, for work on the host: initial weights, shuffles, draws of the search. The
/// same seed and stream give the same numbers on every machine.
/// </summary>
/// <remarks>
/// Word w of the sequence is word w mod 4 of the block with counter (w / 4 low, w / 4 high, stream, 2^32 - 1). The last counter word
/// keeps the sequence apart from dropout, whose steps never reach it. Not thread-safe: give each user a stream of its own.
/// </remarks>
public sealed class SeededRandom
{
    private const uint Domain = uint.MaxValue;

    private ulong _seed;
    private uint _stream;
    private ulong _position;
    private PhiloxBlock _block;

    /// <summary>Starts the sequence of a seed.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="stream">Which of the independent sequences under that seed.</param>
    public SeededRandom(ulong seed, uint stream = 0)
        : this(new SeededRandomState(seed, stream, 0))
    {
    }

    /// <summary>Goes on where a sequence stood.</summary>
    /// <param name="state">From <see cref="State"/>.</param>
    public SeededRandom(SeededRandomState state) => Restart(state);

    /// <summary>Goes on where a sequence stood, without a new object.</summary>
    /// <param name="state">From <see cref="State"/>; position 0 for the start of a sequence.</param>
    public void Restart(SeededRandomState state)
    {
        (_seed, _stream, _position) = state;
        if ((_position & 3) != 0)
        {
            _block = Make(_position);
        }
    }

    /// <summary>Where the sequence stands.</summary>
    public SeededRandomState State => new(_seed, _stream, _position);

    /// <summary>The next 32 random bits.</summary>
    public uint NextWord()
    {
        int word = (int)(_position & 3);
        if (word == 0)
        {
            _block = Make(_position);
        }

        _position++;
        return _block[word];
    }

    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    public double NextDouble()
    {
        ulong high = NextWord();
        ulong bits = (high << 32) | NextWord();
        return (bits >> 11) * (1.0 / 9007199254740992.0);
    }

    /// <summary>A number in [low, high).</summary>
    /// <param name="low">Lower bound, possible.</param>
    /// <param name="high">Upper bound.</param>
    public double NextUniform(double low, double high) => low + ((high - low) * NextDouble());

    /// <summary>An integer in [0, bound), each equally likely (multiply and reject; Lemire 2019).</summary>
    /// <param name="bound">At least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The bound is not positive.</exception>
    public int NextInt(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);
        ulong product = (ulong)NextWord() * (uint)bound;
        if ((uint)product < (uint)bound)
        {
            uint threshold = (uint)-bound % (uint)bound;
            while ((uint)product < threshold)
            {
                product = (ulong)NextWord() * (uint)bound;
            }
        }

        return (int)(product >> 32);
    }

    /// <summary>
    /// A standard normal number (Box and Muller 1958; one of the pair is dropped, so that the position is the whole state).
    /// </summary>
    public double NextNormal()
    {
        double radius = Math.Sqrt(-2.0 * Math.Log(1.0 - NextDouble()));
        return radius * Math.Cos(2.0 * Math.PI * NextDouble());
    }

    /// <summary>Fills with normal numbers.</summary>
    /// <param name="values">Receives the numbers.</param>
    /// <param name="mean">Their mean.</param>
    /// <param name="deviation">Their standard deviation.</param>
    public void FillNormal(Span<float> values, double mean, double deviation)
    {
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)(mean + (deviation * NextNormal()));
        }
    }

    /// <summary>Fills with uniform numbers in [low, high).</summary>
    /// <param name="values">Receives the numbers.</param>
    /// <param name="low">Lower bound.</param>
    /// <param name="high">Upper bound.</param>
    public void FillUniform(Span<float> values, double low, double high)
    {
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)NextUniform(low, high);
        }
    }

    /// <summary>Puts the items into a random order, each equally likely (Fisher and Yates).</summary>
    /// <param name="items">Reordered in place.</param>
    /// <typeparam name="T">Type of the items.</typeparam>
    public void Shuffle<T>(Span<T> items)
    {
        for (int last = items.Length - 1; last > 0; last--)
        {
            int chosen = NextInt(last + 1);
            (items[last], items[chosen]) = (items[chosen], items[last]);
        }
    }

    private PhiloxBlock Make(ulong position)
    {
        ulong block = position >> 2;
        return Philox.Block(new PhiloxBlock((uint)block, (uint)(block >> 32), _stream, Domain), _seed);
    }
}
