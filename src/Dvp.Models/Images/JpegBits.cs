using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Dvp.Models.Images;

/// <summary>Bits of an entropy-coded segment, most significant first, with the stuffed zero bytes taken out.</summary>
internal ref struct JpegBits(ReadOnlySpan<byte> data)
{
    private readonly ReadOnlySpan<byte> _data = data;
    private int _position;
    private ulong _buffer; // the next bits at the top
    private int _count;
    private int _invented; // zero bits behind the end of the data that are in the buffer

    /// <summary>The next code's symbol.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Symbol(JpegHuffman table)
    {
        if (_count < 32)
        {
            Fill();
        }

        int found = table.Lookup[(int)(_buffer >> (64 - JpegHuffman.LookupBits))];
        if (found == 0)
        {
            found = table.Find((int)(_buffer >> 48));
        }

        Drop(found >> 8);
        return found & 255;
    }

    /// <summary>A coefficient of that many bits in JPEG's sign convention; 0 for none. Follows <see cref="Symbol"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Signed(int bits)
    {
        // Symbol left at least 16 bits, and bits is at most 15.
        if (bits == 0)
        {
            return 0;
        }

        int value = (int)(_buffer >> (64 - bits));
        int low = (int)((~(long)_buffer) >> 63); // all ones when the first bit is 0, which means negative
        Drop(bits);
        return value + (low & (1 - (1 << bits)));
    }

    /// <summary>Plain bits, up to 16.</summary>
    public int Bits(int bits)
    {
        if (_count < bits)
        {
            Fill();
        }

        int value = bits == 0 ? 0 : (int)(_buffer >> (64 - bits));
        Drop(bits);
        return value;
    }

    /// <summary>Goes behind the next restart marker.</summary>
    public void Restart()
    {
        CheckEnd();
        _buffer = 0;
        _count = 0;
        _invented = 0;
        while (_position + 1 < _data.Length)
        {
            if (_data[_position] == 0xFF && _data[_position + 1] is >= 0xD0 and <= 0xD7)
            {
                _position += 2;
                return;
            }

            _position++;
        }

        throw new InvalidDataException("missing restart marker");
    }

    /// <summary>Throws when more bits were used than there are.</summary>
    public readonly void CheckEnd()
    {
        if (_invented > _count)
        {
            throw new InvalidDataException("missing entropy-coded data");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Drop(int bits)
    {
        _buffer <<= bits;
        _count -= bits;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Fill()
    {
        if (_position <= _data.Length - 8)
        {
            ulong eight = BinaryPrimitives.ReadUInt64BigEndian(_data[_position..]);
            if (((~eight - 0x0101010101010101) & eight & 0x8080808080808080) == 0)
            {
                // No byte is 0xFF: take as many whole bytes as there is room for. Bits of the next byte that come along are
                // the ones that the next filling puts there again.
                _buffer |= eight >> _count;
                _position += (63 - _count) >> 3;
                _count |= 56;
                return;
            }
        }

        while (_count <= 56)
        {
            uint next = 0;
            if (_position < _data.Length)
            {
                next = _data[_position];
                if (next != 0xFF)
                {
                    _position++;
                }
                else if (_position + 1 < _data.Length && _data[_position + 1] == 0)
                {
                    _position += 2;
                }
                else
                {
                    CheckEnd();
                    next = 0;
                    _invented += 8;
                }
            }
            else
            {
                CheckEnd();
                _invented += 8;
            }

            _buffer |= (ulong)next << (56 - _count);
            _count += 8;
        }
    }
}
