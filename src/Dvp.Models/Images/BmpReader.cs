using System.Buffers.Binary;
using System.Numerics;

namespace Dvp.Models.Images;

/// <summary>Uncompressed Windows bitmaps of 1, 4, 8, 16, 24 and 32 bits, with palettes or bit masks.</summary>
internal static class BmpReader
{
    public static DecodedImage Read(byte[] data, string name, ImageLimits limits)
    {
        BmpHeader header = BmpHeader.Parse(data, name, limits);
        long stride = (((long)header.Width * header.Bits) + 31) / 32 * 4;
        if (header.Offset > data.Length || stride * header.Height > data.Length - header.Offset)
        {
            throw ImageDecoder.Damaged(name, "it stops before the picture is complete");
        }

        ImageMode mode = header.Mode;
        int pixel = mode.BytesPerPixel();
        byte[] samples = GC.AllocateUninitializedArray<byte>(header.Width * header.Height * pixel);
        for (int y = 0; y < header.Height; y++)
        {
            long source = header.Offset + (stride * (header.TopDown ? y : header.Height - 1 - y));
            ReadOnlySpan<byte> row = data.AsSpan((int)source, (int)stride);
            Span<byte> output = samples.AsSpan(y * header.Width * pixel, header.Width * pixel);
            switch (header.Bits)
            {
                case 24:
                    for (int i = 0; i < output.Length; i += 3)
                    {
                        output[i] = row[i + 2];
                        output[i + 1] = row[i + 1];
                        output[i + 2] = row[i];
                    }

                    break;
                case 16 or 32:
                    Masked(header, row, output, pixel);
                    break;
                default:
                    Indexed(header, row, output, pixel);
                    break;
            }
        }

        return new DecodedImage(header.Width, header.Height, mode, samples);
    }

    private static void Indexed(BmpHeader header, ReadOnlySpan<byte> row, Span<byte> output, int pixel)
    {
        int mask = (1 << header.Bits) - 1;
        for (int x = 0, o = 0; o < output.Length; x++, o += pixel)
        {
            int bit = x * header.Bits;
            int index = (row[bit >> 3] >> (8 - header.Bits - (bit & 7))) & mask;
            header.Palette.AsSpan(3 * index, pixel).CopyTo(output[o..]);
        }
    }

    private static void Masked(BmpHeader header, ReadOnlySpan<byte> row, Span<byte> output, int pixel)
    {
        int size = header.Bits / 8;
        for (int i = 0, o = 0; o < output.Length; i += size, o += pixel)
        {
            uint value = size == 2 ? BinaryPrimitives.ReadUInt16LittleEndian(row[i..]) : BinaryPrimitives.ReadUInt32LittleEndian(row[i..]);
            for (int c = 0; c < pixel; c++)
            {
                output[o + c] = Scale(value, header.Masks[c]);
            }
        }
    }

    private static byte Scale(uint value, uint mask)
    {
        if (mask == 0)
        {
            return 0;
        }

        int shift = BitOperations.TrailingZeroCount(mask);
        return (byte)((ulong)((value & mask) >> shift) * 255 / (mask >> shift));
    }
}
