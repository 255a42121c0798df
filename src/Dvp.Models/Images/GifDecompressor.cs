namespace Dvp.Models.Images;

/// <summary>The variable-length LZW of GIF: codes of up to 12 bits, least significant bit first.</summary>
internal static class GifDecompressor
{
    /// <summary>Decodes; null when the codes end before all pixels are there.</summary>
    /// <param name="codes">The joined data blocks.</param>
    /// <param name="codeSize">Bits of a colour index.</param>
    /// <param name="count">Pixels wanted; what follows is ignored.</param>
    public static byte[]? Decode(ReadOnlySpan<byte> codes, int codeSize, int count)
    {
        var output = new byte[count];
        Span<ushort> prefix = stackalloc ushort[4096];
        Span<byte> suffix = stackalloc byte[4096];
        Span<byte> stack = stackalloc byte[4096];
        int clear = 1 << codeSize;
        int next = clear + 2;
        int bits = codeSize + 1;
        int previous = -1;
        int first = 0;
        uint buffer = 0;
        int held = 0;
        int position = 0;
        int written = 0;
        while (written < count)
        {
            while (held < bits)
            {
                if (position >= codes.Length)
                {
                    return null;
                }

                buffer |= (uint)codes[position++] << held;
                held += 8;
            }

            int code = (int)(buffer & ((1u << bits) - 1));
            buffer >>= bits;
            held -= bits;
            if (code == clear)
            {
                next = clear + 2;
                bits = codeSize + 1;
                previous = -1;
                continue;
            }

            if (code == clear + 1)
            {
                return null; // the end, with pixels missing
            }

            if (code > next || (code == next && previous < 0) || (previous < 0 && code > clear))
            {
                throw new InvalidDataException("unknown LZW code");
            }

            int depth = 0;
            int walk = code;
            if (code == next)
            {
                stack[depth++] = (byte)first;
                walk = previous;
            }

            while (walk > clear)
            {
                stack[depth++] = suffix[walk];
                walk = prefix[walk];
            }

            first = walk;
            stack[depth++] = (byte)walk;
            if (previous >= 0 && next < 4096)
            {
                prefix[next] = (ushort)previous;
                suffix[next] = (byte)first;
                next++;
                if (next == 1 << bits && bits < 12)
                {
                    bits++;
                }
            }

            previous = code;
            while (depth > 0 && written < count)
            {
                output[written++] = stack[--depth];
            }
        }

        return output;
    }
}
