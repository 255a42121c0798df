using System.Buffers.Binary;

namespace Dvp.Models.Images;

/// <summary>
/// The first frame of a GIF (87a, 89a), with its palette looked up. Transparent pixels keep the colour that their index has;
/// canvas that the frame leaves free has the colour of the transparent index, or of index 0.
/// </summary>
internal static class GifReader
{
    public static DecodedImage Read(byte[] data, string name, ImageLimits limits)
    {
        if (data.Length < 13)
        {
            throw Cut(name);
        }

        int width = BinaryPrimitives.ReadUInt16LittleEndian(data.AsSpan(6));
        int height = BinaryPrimitives.ReadUInt16LittleEndian(data.AsSpan(8));
        ImageDecoder.CheckSize(width, height, name, limits);
        int position = 13;
        ReadOnlySpan<byte> palette = Palette(data, data[10], ref position, name);
        int background = 0;
        while (true)
        {
            byte kind = Take(data, ref position, 1, name)[0];
            if (kind == 0x21)
            {
                byte label = Take(data, ref position, 1, name)[0];
                int start = position;
                SkipBlocks(data, ref position, name);
                if (label == 0xF9 && data[start] >= 4 && (data[start + 1] & 1) != 0)
                {
                    background = data[start + 4];
                }
            }
            else if (kind == 0x2C)
            {
                break;
            }
            else
            {
                throw ImageDecoder.Damaged(name, "it holds no picture data");
            }
        }

        ReadOnlySpan<byte> frame = Take(data, ref position, 9, name);
        int left = BinaryPrimitives.ReadUInt16LittleEndian(frame);
        int top = BinaryPrimitives.ReadUInt16LittleEndian(frame[2..]);
        int frameWidth = BinaryPrimitives.ReadUInt16LittleEndian(frame[4..]);
        int frameHeight = BinaryPrimitives.ReadUInt16LittleEndian(frame[6..]);
        width = Math.Max(width, left + frameWidth);
        height = Math.Max(height, top + frameHeight);
        ImageDecoder.CheckSize(width, height, name, limits);
        ImageDecoder.CheckSize(frameWidth, frameHeight, name, limits);
        ReadOnlySpan<byte> own = Palette(data, frame[8], ref position, name);
        palette = own.IsEmpty ? palette : own;
        byte[] indices = GifDecompressor.Decode(Codes(data, ref position, name, out int codeSize), codeSize,
            frameWidth * frameHeight) ?? throw Cut(name);

        Colours colours = new(palette);
        byte[] samples = GC.AllocateUninitializedArray<byte>(width * height * 3);
        if (frameWidth < width || frameHeight < height)
        {
            for (int o = 0; o < samples.Length; o += 3)
            {
                colours.Write(background, samples.AsSpan(o, 3));
            }
        }

        bool interlaced = (frame[8] & 0x40) != 0;
        for (int i = 0; i < frameHeight; i++)
        {
            int y = top + (interlaced ? InterlacedRow(i, frameHeight) : i);
            ReadOnlySpan<byte> row = indices.AsSpan(i * frameWidth, frameWidth);
            Span<byte> output = samples.AsSpan(((y * width) + left) * 3, frameWidth * 3);
            for (int x = 0; x < row.Length; x++)
            {
                colours.Write(row[x], output.Slice(3 * x, 3));
            }
        }

        // A palette that is the grey ramp is no palette: such a picture is resized as grey.
        return new DecodedImage(width, height, colours.IsRamp ? ImageMode.Rgb : ImageMode.Palette, samples);
    }

    /// <summary>The row of the i-th stored row: every eighth, the ones between, every fourth between, every other.</summary>
    private static int InterlacedRow(int i, int height)
    {
        ReadOnlySpan<int> starts = [0, 4, 2, 1];
        ReadOnlySpan<int> steps = [8, 8, 4, 2];
        int pass = 0;
        while (true)
        {
            int rows = (height - starts[pass] + steps[pass] - 1) / steps[pass];
            if (i < rows)
            {
                return starts[pass] + (i * steps[pass]);
            }

            i -= rows;
            pass++;
        }
    }

    private static ReadOnlySpan<byte> Palette(byte[] data, byte flags, ref int position, string name) =>
        (flags & 0x80) == 0 ? [] : Take(data, ref position, 3 * (2 << (flags & 7)), name);

    private static byte[] Codes(byte[] data, ref int position, string name, out int codeSize)
    {
        codeSize = Take(data, ref position, 1, name)[0];
        if (codeSize is < 1 or > 11)
        {
            throw ImageDecoder.Damaged(name, $"its code size is {codeSize}");
        }

        int start = position;
        SkipBlocks(data, ref position, name);
        var codes = new byte[position - start];
        int length = 0;
        for (int p = start; data[p] != 0; p += data[p] + 1)
        {
            data.AsSpan(p + 1, data[p]).CopyTo(codes.AsSpan(length));
            length += data[p];
        }

        return codes[..length];
    }

    private static void SkipBlocks(byte[] data, ref int position, string name)
    {
        while (true)
        {
            byte length = Take(data, ref position, 1, name)[0];
            if (length == 0)
            {
                return;
            }

            Take(data, ref position, length, name);
        }
    }

    private static ReadOnlySpan<byte> Take(byte[] data, ref int position, int count, string name)
    {
        if (count > data.Length - position)
        {
            throw Cut(name);
        }

        position += count;
        return data.AsSpan(position - count, count);
    }

    private static Dvp.Engine.DvpException Cut(string name) => ImageDecoder.Damaged(name, "it stops before the picture is complete");

    /// <summary>A palette; without one, indices are grey.</summary>
    private readonly ref struct Colours
    {
        private readonly ReadOnlySpan<byte> _palette;

        public Colours(ReadOnlySpan<byte> palette)
        {
            _palette = palette;
            IsRamp = true;
            for (int i = 0; i < palette.Length; i++)
            {
                IsRamp &= palette[i] == i / 3;
            }
        }

        public bool IsRamp { get; }

        public void Write(int index, Span<byte> pixel)
        {
            if (_palette.IsEmpty)
            {
                pixel.Fill((byte)index);
            }
            else if (3 * index < _palette.Length)
            {
                _palette.Slice(3 * index, 3).CopyTo(pixel);
            }
            else
            {
                pixel.Clear();
            }
        }
    }
}
