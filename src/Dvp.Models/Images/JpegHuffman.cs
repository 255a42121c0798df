namespace Dvp.Models.Images;

/// <summary>A Huffman table (ITU-T T.81 annex C): codes up to nine bits by one lookup, the others by length.</summary>
internal sealed class JpegHuffman
{
    /// <summary>Bits of the lookup.</summary>
    public const int LookupBits = 9;

    private readonly ushort[] _lookup = new ushort[1 << LookupBits];
    private readonly int[] _end = new int[17];
    private readonly int[] _shift = new int[17];
    private readonly byte[] _symbols;

    /// <summary>Builds the table; throws InvalidDataException when no code fits the counts.</summary>
    /// <param name="counts">(16) number of codes of each length from 1.</param>
    /// <param name="symbols">Symbols by code.</param>
    public JpegHuffman(ReadOnlySpan<byte> counts, ReadOnlySpan<byte> symbols)
    {
        _symbols = symbols.ToArray();
        int code = 0;
        int index = 0;
        for (int length = 1; length <= 16; length++)
        {
            _shift[length] = index - code;
            for (int i = 0; i < counts[length - 1]; i++, code++, index++)
            {
                if (length <= LookupBits)
                {
                    int spread = LookupBits - length;
                    if ((code + 1) << spread > _lookup.Length)
                    {
                        throw new InvalidDataException("over-full Huffman table");
                    }

                    _lookup.AsSpan(code << spread, 1 << spread).Fill((ushort)((length << 8) | symbols[index]));
                }
            }

            if (code > 1 << length)
            {
                throw new InvalidDataException("over-full Huffman table");
            }

            _end[length] = code;
            code <<= 1;
        }
    }

    /// <summary>Length times 256 plus symbol for codes of up to nine bits, else 0.</summary>
    public ushort[] Lookup => _lookup;

    /// <summary>Finds a longer code in the next 16 bits.</summary>
    /// <returns>Length times 256 plus symbol.</returns>
    public int Find(int bits)
    {
        for (int length = LookupBits + 1; length <= 16; length++)
        {
            int code = bits >> (16 - length);
            if (code < _end[length])
            {
                int index = code + _shift[length];
                return index >= 0 ? (length << 8) | _symbols[index] : throw new InvalidDataException("unknown Huffman code");
            }
        }

        throw new InvalidDataException("unknown Huffman code");
    }
}
