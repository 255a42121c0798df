using System.Buffers;

namespace Dvp.Models.Tokenizers;

/// <summary>Tokens of one text while it is read, in rented memory.</summary>
internal struct TokenList : IDisposable
{
    private int[] _ids;
    private TokenOffsets[] _offsets;

    /// <summary>Makes an empty list.</summary>
    /// <param name="capacity">Tokens expected.</param>
    public TokenList(int capacity)
    {
        _ids = ArrayPool<int>.Shared.Rent(Math.Max(16, capacity));
        _offsets = ArrayPool<TokenOffsets>.Shared.Rent(_ids.Length);
    }

    /// <summary>Number of tokens; may be set lower.</summary>
    public int Count { get; set; }

    public readonly ReadOnlySpan<int> Ids => _ids.AsSpan(0, Count);

    public readonly ReadOnlySpan<TokenOffsets> Offsets => _offsets.AsSpan(0, Count);

    public void Add(int id, int start, int end)
    {
        if (Count >= _ids.Length || Count >= _offsets.Length)
        {
            _ids = Grow(_ids);
            _offsets = Grow(_offsets);
        }

        _ids[Count] = id;
        _offsets[Count++] = new TokenOffsets(start, end);
    }

    public readonly void Dispose()
    {
        ArrayPool<int>.Shared.Return(_ids);
        ArrayPool<TokenOffsets>.Shared.Return(_offsets);
    }

    private static T[] Grow<T>(T[] old)
    {
        T[] larger = ArrayPool<T>.Shared.Rent(2 * old.Length);
        old.CopyTo(larger, 0);
        ArrayPool<T>.Shared.Return(old);
        return larger;
    }
}
