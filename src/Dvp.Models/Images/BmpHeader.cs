using System.Buffers.Binary;

namespace Dvp.Models.Images;

/// <summary>The headers of a bitmap file, checked, in any of their published sizes from OS/2 to version 5.</summary>
internal sealed class BmpHeader
{
    public int Width { get; private init; }

    public int Height { get; private init; }

    public bool TopDown { get; private init; }

    /// <summary>Bits a pixel.</summary>
    public int Bits { get; private init; }

    /// <summary>Where the rows begin.</summary>
    public long Offset { get; private init; }

    /// <summary>(256, 3) red, green, blue.</summary>
    public byte[] Palette { get; } = new byte[256 * 3];

    /// <summary>Red, green, blue, alpha masks of 16- and 32-bit pixels.</summary>
    public uint[] Masks { get; } = new uint[4];

    public ImageMode Mode { get; private set; }

    public static BmpHeader Parse(ReadOnlySpan<byte> data, string name, ImageLimits limits)
    {
        if (data.Length < 26)
        {
            throw ImageDecoder.Damaged(name, "it stops inside its header");
        }

        int size = BinaryPrimitives.ReadInt32LittleEndian(data[14..]);
        bool old = size == 12;
        if (!old && size is < 40 or > 124)
        {
            throw ImageDecoder.Unsupported(name, $"a bitmap header of {size} bytes");
        }

        if (data.Length < 14 + size)
        {
            throw ImageDecoder.Damaged(name, "it stops inside its header");
        }

        ReadOnlySpan<byte> info = data.Slice(14, size);
        int width = old ? BinaryPrimitives.ReadUInt16LittleEndian(info[4..]) : BinaryPrimitives.ReadInt32LittleEndian(info[4..]);
        long height = old ? BinaryPrimitives.ReadUInt16LittleEndian(info[6..]) : BinaryPrimitives.ReadInt32LittleEndian(info[8..]);
        ImageDecoder.CheckSize(width, Math.Abs(height), name, limits);
        int bits = BinaryPrimitives.ReadUInt16LittleEndian(info[(old ? 10 : 14)..]);
        uint compression = old ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(info[16..]);
        if (bits is not (1 or 4 or 8 or 16 or 24 or 32) || !(compression == 0 || (compression is 3 or 6 && bits is 16 or 32)))
        {
            throw ImageDecoder.Unsupported(name, $"bitmap compression {compression} of {bits}-bit pixels");
        }

        BmpHeader header = new()
        {
            Width = width,
            Height = (int)Math.Abs(height),
            TopDown = height < 0,
            Bits = bits,
            Offset = BinaryPrimitives.ReadUInt32LittleEndian(data[10..]),
        };
        if (bits <= 8)
        {
            uint used = old ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(info[32..]);
            header.ReadPalette(data[(14 + size)..], used, old ? 3 : 4, name);
        }
        else
        {
            header.ReadMasks(data, size, compression, name);
        }

        return header;
    }

    private void ReadPalette(ReadOnlySpan<byte> data, uint used, int entry, string name)
    {
        int colours = used == 0 ? 1 << Bits : (int)Math.Min(used, 256);
        if (data.Length < colours * entry)
        {
            throw ImageDecoder.Damaged(name, "it stops inside its palette");
        }

        bool ramp = true;
        for (int i = 0; i < colours; i++)
        {
            ReadOnlySpan<byte> colour = data.Slice(i * entry, 3);
            Palette[3 * i] = colour[2];
            Palette[(3 * i) + 1] = colour[1];
            Palette[(3 * i) + 2] = colour[0];
            ramp &= colour[0] == colour[1] && colour[1] == colour[2] && colour[0] == (colours == 2 ? 255 * i : i);
        }

        // A palette that is the grey ramp is no palette: such a picture is resized as grey, or as black and white.
        Mode = !ramp ? ImageMode.Palette : colours == 2 ? ImageMode.Bilevel : ImageMode.Grey;
    }

    private void ReadMasks(ReadOnlySpan<byte> data, int size, uint compression, string name)
    {
        uint[] masks = Bits == 16 ? [0x7C00, 0x3E0, 0x1F, 0] : [0xFF0000, 0xFF00, 0xFF, 0];
        if (compression != 0)
        {
            // Versions 2 and later hold the masks at the end of the first 52 or 56 bytes, version 1 behind its 40.
            int count = size >= 56 || compression == 6 ? 4 : 3;
            if (data.Length < 54 + (4 * count))
            {
                throw ImageDecoder.Damaged(name, "it stops inside its header");
            }

            for (int c = 0; c < count; c++)
            {
                masks[c] = BinaryPrimitives.ReadUInt32LittleEndian(data[(54 + (4 * c))..]);
            }
        }

        masks.CopyTo(Masks, 0);
        Mode = Masks[3] != 0 ? ImageMode.Rgba : ImageMode.Rgb;
    }
}
