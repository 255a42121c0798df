using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.InteropServices;

namespace Dvp.Models.Images;

/// <summary>
/// PNG of every colour type, depth and interlacing (W3C PNG, third edition). The stream is inflated row by row, so memory
/// follows the checked size of the picture, not what the data would inflate to.
/// </summary>
internal static class PngReader
{
    /// <summary>The eight bytes that every PNG begins with.</summary>
    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    private static ReadOnlySpan<byte> Adam7 =>
    [
        // column start, column step, row start, row step of the seven passes
        0, 8, 0, 8, 4, 8, 0, 8, 0, 4, 4, 8, 2, 4, 0, 4, 0, 2, 2, 4, 1, 2, 0, 2, 0, 1, 1, 2,
    ];

    public static DecodedImage Read(byte[] data, string name, ImageLimits limits)
    {
        int position = Signature.Length;
        ReadOnlySpan<byte> chunk = NextChunk(data, ref position, name, out uint type);
        if (type != Type("IHDR"u8) || chunk.Length != 13)
        {
            throw ImageDecoder.Damaged(name, "it does not begin with a PNG header");
        }

        PngHeader header = PngHeader.Parse(chunk, name, limits);
        var palette = new byte[256 * 3];
        int paletteLength = 0;
        using MemoryStream compressed = new();
        bool inData = false;
        while (position < data.Length)
        {
            int start = position;
            chunk = NextChunk(data, ref position, name, out type);
            if (type == Type("PLTE"u8))
            {
                if (chunk.Length is 0 or > 768 || chunk.Length % 3 != 0)
                {
                    throw ImageDecoder.Damaged(name, $"its palette has {chunk.Length} bytes");
                }

                chunk.CopyTo(palette);
                paletteLength = chunk.Length / 3;
            }
            else if (type == Type("IDAT"u8))
            {
                if (!inData)
                {
                    compressed.Capacity = data.Length - start;
                }

                inData = true;
                compressed.Write(chunk);
            }
            else if (inData || type == Type("IEND"u8))
            {
                break;
            }
        }

        if (!inData)
        {
            throw ImageDecoder.Damaged(name, "it holds no picture data");
        }

        if (header.ColourType == 3 && paletteLength == 0)
        {
            throw ImageDecoder.Damaged(name, "it needs a palette and has none");
        }

        // Deflate cannot shrink by more than 1032 to 1, so a short stream cannot fill the claimed size.
        if ((long)header.Height * header.RowBytes(header.Width) / 1032 > compressed.Length)
        {
            throw ImageDecoder.Damaged(name, "it stops before the picture is complete");
        }

        compressed.Position = 0;
        var samples = new byte[header.Width * header.Height * header.Mode.BytesPerPixel()];
        using ZLibStream stream = new(compressed, CompressionMode.Decompress);
        ReadPasses(header, stream, samples, palette, name);
        return new DecodedImage(header.Width, header.Height, header.Mode, samples);
    }

    private static void ReadPasses(in PngHeader header, ZLibStream stream, byte[] samples, byte[] palette, string name)
    {
        int longest = header.RowBytes(header.Width) + 1;
        var rows = new byte[2 * longest];
        for (int pass = 0; pass < (header.Interlaced ? 7 : 1); pass++)
        {
            ReadOnlySpan<byte> grid = header.Interlaced ? Adam7.Slice(4 * pass, 4) : [0, 1, 0, 1];
            int width = (header.Width - grid[0] + grid[1] - 1) / grid[1];
            int height = (header.Height - grid[2] + grid[3] - 1) / grid[3];
            if (width == 0 || height == 0)
            {
                continue;
            }

            int length = header.RowBytes(width) + 1;
            Span<byte> previous = rows.AsSpan(0, length);
            Span<byte> current = rows.AsSpan(longest, length);
            previous.Clear();
            for (int y = 0; y < height; y++)
            {
                ReadRow(stream, current, name);
                if (!PngFilter.Undo(current[0], current[1..], previous[1..], header.FilterDistance))
                {
                    throw ImageDecoder.Damaged(name, $"a row has filter type {current[0]}, which does not exist");
                }

                int first = (((grid[2] + (y * grid[3])) * header.Width) + grid[0]) * header.Mode.BytesPerPixel();
                Expand(header, current[1..], samples.AsSpan(first), width, grid[1], palette);
                Span<byte> swap = previous;
                previous = current;
                current = swap;
            }
        }
    }

    private static void ReadRow(ZLibStream stream, Span<byte> row, string name)
    {
        int read;
        try
        {
            read = stream.ReadAtLeast(row, row.Length, throwOnEndOfStream: false);
        }
        catch (InvalidDataException e)
        {
            throw ImageDecoder.Damaged(name, "its data cannot be decompressed", e);
        }

        if (read < row.Length)
        {
            throw ImageDecoder.Damaged(name, "it stops before the picture is complete");
        }
    }

    /// <summary>Turns one row of packed samples into the picture's mode, every <paramref name="step"/>-th pixel from the first.</summary>
    private static void Expand(in PngHeader header, ReadOnlySpan<byte> row, Span<byte> output, int width, int step, byte[] palette)
    {
        int pixel = header.Mode.BytesPerPixel();
        int stride = pixel * step;
        if (header.ColourType == 3 || header.Depth < 8)
        {
            ExpandPacked(header, row, output, width, stride, palette);
        }
        else if (header.Mode == ImageMode.Grey16)
        {
            for (int x = 0, o = 0; x < width; x++, o += stride)
            {
                ushort value = BinaryPrimitives.ReadUInt16BigEndian(row[(2 * x)..]);
                MemoryMarshal.Write(output[o..], in value);
            }
        }
        else if (header.Depth == 8 && step == 1)
        {
            row[..(width * pixel)].CopyTo(output);
        }
        else
        {
            int size = header.Depth / 8; // of 16-bit samples the high byte, which comes first
            for (int x = 0, i = 0, o = 0; x < width; x++, o += stride)
            {
                for (int c = 0; c < pixel; c++, i += size)
                {
                    output[o + c] = row[i];
                }
            }
        }
    }

    private static void ExpandPacked(in PngHeader header, ReadOnlySpan<byte> row, Span<byte> output, int width, int stride,
        byte[] palette)
    {
        int depth = header.Depth;
        int mask = (1 << depth) - 1;
        int scale = 255 / mask;
        for (int x = 0, o = 0; x < width; x++, o += stride)
        {
            int bit = x * depth;
            int value = (row[bit >> 3] >> (8 - depth - (bit & 7))) & mask;
            if (header.ColourType == 3)
            {
                palette.AsSpan(3 * value, 3).CopyTo(output[o..]);
            }
            else
            {
                output[o] = (byte)(value * scale);
            }
        }
    }

    private static uint Type(ReadOnlySpan<byte> name) => BinaryPrimitives.ReadUInt32BigEndian(name);

    /// <summary>The contents of the chunk at the position, which moves behind it; the chunk must be whole.</summary>
    private static ReadOnlySpan<byte> NextChunk(byte[] data, ref int position, string name, out uint type)
    {
        ReadOnlySpan<byte> rest = data.AsSpan(position);
        if (rest.Length < 12)
        {
            throw ImageDecoder.Damaged(name, "it stops inside a PNG chunk");
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(rest);
        if (length > rest.Length - 12)
        {
            throw ImageDecoder.Damaged(name, "it stops inside a PNG chunk");
        }

        type = BinaryPrimitives.ReadUInt32BigEndian(rest[4..]);
        bool critical = (type & 0x20000000) == 0;
        int end = 8 + (int)length;
        if (critical && Crc32.Compute(rest[4..end]) != BinaryPrimitives.ReadUInt32BigEndian(rest[end..]))
        {
            throw ImageDecoder.Damaged(name, "the checksum of a PNG chunk is wrong");
        }

        position += end + 4;
        return rest[8..end];
    }
}
