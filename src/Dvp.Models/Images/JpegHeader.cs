using System.Buffers.Binary;

namespace Dvp.Models.Images;

/// <summary>How the components of a JPEG become red, green and blue.</summary>
internal enum JpegColour
{
    Grey,
    Rgb,
    YCbCr,
    Cmyk,

    /// <summary>CMY stored as YCbCr, beside K.</summary>
    Ycck,
}

/// <summary>A table or scan of the file.</summary>
/// <param name="Marker">Second byte of the marker.</param>
/// <param name="Contents">Where the contents of the segment lie in the file.</param>
/// <param name="Scan">Where the entropy-coded data behind a scan header lie, else empty.</param>
internal readonly record struct JpegSegment(byte Marker, Range Contents, Range Scan);

/// <summary>
/// What a JPEG file says of itself (ITU-T T.81 annex B), found by walking all of its markers, which also proves that the file
/// reaches its end: decoders fill what is missing of a cut file with grey and say nothing.
/// </summary>
internal sealed class JpegHeader
{
    private bool _jfif;
    private int _adobe = -1;
    private long _scanBytes;
    private uint _ids;

    public int Width { get; private set; }

    public int Height { get; private set; }

    /// <summary>1, 3 or 4, in the order of the frame.</summary>
    public JpegComponent[] Components { get; private set; } = [];

    /// <summary>Progressive coding: coefficients come in several scans.</summary>
    public bool Progressive { get; private set; }

    /// <summary>Blocks of the largest component in an MCU, horizontally.</summary>
    public int MaxAcross { get; private set; } = 1;

    /// <summary>Blocks of the largest component in an MCU, vertically.</summary>
    public int MaxDown { get; private set; } = 1;

    public JpegColour Colour { get; private set; }

    /// <summary>Tables and scans in the order of the file.</summary>
    public List<JpegSegment> Segments { get; } = [];

    public static JpegHeader Parse(ReadOnlySpan<byte> data, string name, ImageLimits limits)
    {
        JpegHeader header = new();
        header.Walk(data, name, limits);
        if (header.Components.Length == 0 || header._scanBytes == 0)
        {
            throw ImageDecoder.Damaged(name, "it holds no picture data");
        }

        // Every block of 8x8 samples takes a bit at the very least.
        if ((long)header.Width * header.Height / 64 > header._scanBytes * 8)
        {
            throw ImageDecoder.Damaged(name, "it holds too few data for its size");
        }

        header.Colour = header.FindColour();
        return header;
    }

    private void Walk(ReadOnlySpan<byte> data, string name, ImageLimits limits)
    {
        int position = 2;
        while (true)
        {
            byte marker = NextMarker(data, ref position, name);
            if (marker == 0xD9)
            {
                return;
            }

            if (marker is 0x01 or (>= 0xD0 and <= 0xD8))
            {
                continue; // stand alone, without contents
            }

            int length = position + 2 <= data.Length ? BinaryPrimitives.ReadUInt16BigEndian(data[position..]) : int.MaxValue;
            if (length < 2 || length > data.Length - position)
            {
                throw Cut(name);
            }

            Segment(marker, data.Slice(position + 2, length - 2), name, limits);
            int contents = position + 2;
            position += length;
            int scan = position;
            if (marker == 0xDA)
            {
                SkipScan(data, ref position, name);
                _scanBytes += position - scan;
            }

            if (marker is 0xC4 or 0xDA or 0xDB or 0xDD)
            {
                Segments.Add(new JpegSegment(marker, contents..scan, scan..position));
            }
        }
    }

    private void Segment(byte marker, ReadOnlySpan<byte> segment, string name, ImageLimits limits)
    {
        switch (marker)
        {
            case 0xC0 or 0xC1 or 0xC2:
                Frame(segment, marker == 0xC2, name, limits);
                break;
            case 0xC3 or (>= 0xC5 and <= 0xC7) or (>= 0xC9 and <= 0xCB) or (>= 0xCD and <= 0xCF):
                throw ImageDecoder.Unsupported(name, "lossless, hierarchical or arithmetic JPEG coding");
            case 0xE0 when segment.StartsWith("JFIF\0"u8):
                _jfif = true;
                break;
            case 0xEE when segment.Length >= 12 && segment.StartsWith("Adobe"u8):
                _adobe = segment[11];
                break;
        }
    }

    private void Frame(ReadOnlySpan<byte> segment, bool progressive, string name, ImageLimits limits)
    {
        if (Components.Length != 0)
        {
            throw ImageDecoder.Damaged(name, "it holds two pictures in one");
        }

        if (segment.Length < 6 || segment.Length < 6 + (3 * segment[5]))
        {
            throw Cut(name);
        }

        if (segment[0] != 8)
        {
            throw ImageDecoder.Unsupported(name, $"{segment[0]}-bit JPEG samples");
        }

        if (segment[5] is not (1 or 3 or 4))
        {
            throw ImageDecoder.Unsupported(name, $"a JPEG of {segment[5]} components");
        }

        Progressive = progressive;
        Height = BinaryPrimitives.ReadUInt16BigEndian(segment[1..]);
        Width = BinaryPrimitives.ReadUInt16BigEndian(segment[3..]);
        ImageDecoder.CheckSize(Width, Height, name, limits);
        Components = new JpegComponent[segment[5]];
        for (int c = 0; c < Components.Length; c++)
        {
            ReadOnlySpan<byte> entry = segment.Slice(6 + (3 * c), 3);
            JpegComponent component = new(entry[0], entry[1] >> 4, entry[1] & 15, entry[2]);
            if (component.Across is < 1 or > 4 || component.Down is < 1 or > 4 || component.Table > 3)
            {
                throw ImageDecoder.Damaged(name, "its JPEG frame has impossible sampling factors");
            }

            Components[c] = component;
            MaxAcross = Math.Max(MaxAcross, component.Across);
            MaxDown = Math.Max(MaxDown, component.Down);
            _ids = (_ids << 8) | entry[0];
        }

        foreach (JpegComponent component in Components)
        {
            if (MaxAcross % component.Across != 0 || MaxDown % component.Down != 0)
            {
                throw ImageDecoder.Unsupported(name, "a fractional ratio of JPEG sampling factors");
            }

            component.Place(Width, Height, MaxAcross, MaxDown);
        }
    }

    /// <summary>The rules of the IJG decoder: JFIF is YCbCr; else what Adobe's marker says; else by the components' names.</summary>
    private JpegColour FindColour() => Components.Length switch
    {
        1 => JpegColour.Grey,
        3 when _jfif => JpegColour.YCbCr,
        3 when _adobe >= 0 => _adobe == 0 ? JpegColour.Rgb : JpegColour.YCbCr,
        3 => _ids == 0x524742 ? JpegColour.Rgb : JpegColour.YCbCr,
        _ => _adobe > 0 ? JpegColour.Ycck : JpegColour.Cmyk,
    };

    private static byte NextMarker(ReadOnlySpan<byte> data, ref int position, string name)
    {
        // Stray bytes between segments are tolerated, as the IJG decoder tolerates them.
        int start = position < data.Length ? data[position..].IndexOf((byte)0xFF) : -1;
        if (start < 0)
        {
            throw Cut(name);
        }

        position += start;
        while (position < data.Length && data[position] == 0xFF)
        {
            position++;
        }

        if (position >= data.Length)
        {
            throw Cut(name);
        }

        return data[position++];
    }

    private static void SkipScan(ReadOnlySpan<byte> data, ref int position, string name)
    {
        while (true)
        {
            int next = data[position..].IndexOf((byte)0xFF);
            if (next < 0 || position + next + 1 >= data.Length)
            {
                throw Cut(name);
            }

            position += next;
            byte after = data[position + 1];
            if (after is not (0 or 0xFF or (>= 0xD0 and <= 0xD7)))
            {
                return; // a marker that ends the scan
            }

            position += after == 0xFF ? 1 : 2;
        }
    }

    private static Dvp.Engine.DvpException Cut(string name) => ImageDecoder.Damaged(name, "it stops before the picture is complete");
}
