using System.Buffers.Binary;

namespace Dvp.Models.Images;

/// <summary>
/// JPEG, baseline and progressive, 8 bits, Huffman coded (ITU-T T.81). The inverse transform, the upsampling of chroma and the
/// colours use the arithmetic of the IJG decoder (its accurate integer transform and "fancy" upsampling), so that pixels equal
/// those of programs built on it.
/// </summary>
internal sealed class JpegReader
{
    private readonly ushort[]?[] _quantisation = new ushort[4][];
    private readonly JpegHuffman?[] _constantCodes = new JpegHuffman[4];
    private readonly JpegHuffman?[] _codes = new JpegHuffman[4];
    private int _restartInterval;

    public static DecodedImage Read(byte[] data, string name, ImageLimits limits)
    {
        JpegHeader header = JpegHeader.Parse(data, name, limits);
        foreach (JpegComponent component in header.Components)
        {
            component.Allocate(header.Progressive);
        }

        JpegReader reader = new();
        foreach (JpegSegment segment in header.Segments)
        {
            ReadOnlySpan<byte> contents = data.AsSpan(segment.Contents);
            switch (segment.Marker)
            {
                case 0xC4:
                    reader.HuffmanTables(contents);
                    break;
                case 0xDB:
                    reader.QuantisationTables(contents);
                    break;
                case 0xDD:
                    reader._restartInterval = BinaryPrimitives.ReadUInt16BigEndian(contents);
                    break;
                default:
                    reader.Scan(header, contents, data.AsSpan(segment.Scan));
                    break;
            }
        }

        foreach (JpegComponent component in header.Components)
        {
            if (component.Quantisation is null)
            {
                throw ImageDecoder.Damaged(name, "a component of it is missing");
            }

            if (header.Progressive)
            {
                Transform(component);
            }
        }

        return Assemble(header);
    }

    private void QuantisationTables(ReadOnlySpan<byte> contents)
    {
        while (!contents.IsEmpty)
        {
            int size = contents[0] >> 4 == 0 ? 1 : 2;
            var table = new ushort[64];
            for (int k = 0; k < 64; k++)
            {
                table[JpegTransform.Order[k]] = size == 1 ? contents[1 + k]
                    : BinaryPrimitives.ReadUInt16BigEndian(contents[(1 + (2 * k))..]);
            }

            _quantisation[contents[0] & 15] = table;
            contents = contents[(1 + (64 * size))..];
        }
    }

    private void HuffmanTables(ReadOnlySpan<byte> contents)
    {
        while (!contents.IsEmpty)
        {
            ReadOnlySpan<byte> counts = contents.Slice(1, 16);
            int symbols = 0;
            foreach (byte count in counts)
            {
                symbols += count;
            }

            JpegHuffman table = new(counts, contents.Slice(17, symbols));
            (contents[0] >> 4 == 0 ? _constantCodes : _codes)[contents[0] & 15] = table;
            contents = contents[(17 + symbols)..];
        }
    }

    private void Scan(JpegHeader header, ReadOnlySpan<byte> contents, ReadOnlySpan<byte> data)
    {
        var components = new JpegComponent[contents[0]];
        for (int i = 0; i < components.Length; i++)
        {
            byte id = contents[1 + (2 * i)];
            byte tables = contents[2 + (2 * i)];
            JpegComponent component = Array.Find(header.Components, c => c.Id == id && Array.IndexOf(components, c) < 0)
                ?? throw new InvalidDataException("unknown component");
            component.ConstantCodes = _constantCodes[tables >> 4];
            component.Codes = _codes[tables & 15];
            component.Quantisation ??= _quantisation[component.Table];
            components[i] = component;
        }

        ReadOnlySpan<byte> spectrum = contents.Slice(1 + (2 * components.Length), 3);
        new JpegScan(header, components, spectrum, _restartInterval, data).Decode();
    }

    private static void Transform(JpegComponent component)
    {
        for (int y = 0; y < component.BlockRows; y++)
        {
            for (int x = 0; x < component.BlockColumns; x++)
            {
                ReadOnlySpan<short> block = component.Coefficients.AsSpan(((y * component.StoredColumns) + x) * 64, 64);
                bool flat = !block[1..].ContainsAnyExcept((short)0);
                JpegTransform.Inverse(block, component.Quantisation!, component.Samples.AsSpan(((y * component.Stride) + x) * 8),
                    component.Stride, flat);
            }
        }
    }

    private static DecodedImage Assemble(JpegHeader header)
    {
        ImageMode mode = header.Components.Length switch { 1 => ImageMode.Grey, 3 => ImageMode.Rgb, _ => ImageMode.Cmyk };
        int pixel = mode.BytesPerPixel();
        byte[] samples = GC.AllocateUninitializedArray<byte>(header.Width * header.Height * pixel);
        JpegPlane[] planes = Array.ConvertAll(header.Components, c => new JpegPlane(c.Samples, c.Stride, header.Width, header.Height,
            header.MaxAcross / c.Across, header.MaxDown / c.Down));
        for (int y = 0; y < header.Height; y++)
        {
            Span<byte> row = samples.AsSpan(y * header.Width * pixel, header.Width * pixel);
            switch (header.Colour)
            {
                case JpegColour.Grey:
                    planes[0].Row(y).CopyTo(row);
                    break;
                case JpegColour.Rgb:
                    JpegColours.Interleave(planes[0].Row(y), planes[1].Row(y), planes[2].Row(y), row);
                    break;
                case JpegColour.YCbCr:
                    JpegColours.YCbCr(planes[0].Row(y), planes[1].Row(y), planes[2].Row(y), row, pixel);
                    break;
                default:
                    Ink(header.Colour, planes, y, row);
                    break;
            }
        }

        return new DecodedImage(header.Width, header.Height, mode, samples);
    }

    /// <summary>Four components. Adobe's programs store ink inverted and everybody follows them, so 255 becomes no ink.</summary>
    private static void Ink(JpegColour colour, JpegPlane[] planes, int y, Span<byte> row)
    {
        ReadOnlySpan<byte> first = planes[0].Row(y);
        ReadOnlySpan<byte> second = planes[1].Row(y);
        ReadOnlySpan<byte> third = planes[2].Row(y);
        ReadOnlySpan<byte> black = planes[3].Row(y);
        if (colour == JpegColour.Ycck)
        {
            // The three hold the complement of stored CMY, so the inversion below is already done by the colour conversion.
            JpegColours.YCbCr(first, second, third, row, 4);
        }

        for (int x = 0, o = 0; x < black.Length; x++, o += 4)
        {
            if (colour == JpegColour.Cmyk)
            {
                row[o] = (byte)(255 - first[x]);
                row[o + 1] = (byte)(255 - second[x]);
                row[o + 2] = (byte)(255 - third[x]);
            }

            row[o + 3] = (byte)(255 - black[x]);
        }
    }
}
