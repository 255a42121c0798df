using System.Buffers.Binary;

namespace Dvp.Models.Images;

/// <summary>The IHDR chunk, checked.</summary>
internal readonly struct PngHeader
{
    private PngHeader(int width, int height, byte depth, byte colourType, bool interlaced)
    {
        Width = width;
        Height = height;
        Depth = depth;
        ColourType = colourType;
        Interlaced = interlaced;
        Mode = colourType switch
        {
            0 => depth switch { 1 => ImageMode.Bilevel, 16 => ImageMode.Grey16, _ => ImageMode.Grey },
            2 => ImageMode.Rgb,
            3 => ImageMode.Palette,
            4 => ImageMode.GreyAlpha,
            _ => ImageMode.Rgba,
        };
    }

    public int Width { get; }

    public int Height { get; }

    /// <summary>Bits a sample: 1, 2, 4, 8 or 16.</summary>
    public byte Depth { get; }

    /// <summary>0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.</summary>
    public byte ColourType { get; }

    public bool Interlaced { get; }

    public ImageMode Mode { get; }

    /// <summary>Bytes from a sample to the one that its filter looks back to.</summary>
    public int FilterDistance => Math.Max(1, BitsPerPixel / 8);

    private int BitsPerPixel => Depth * (ColourType switch { 2 => 3, 4 => 2, 6 => 4, _ => 1 });

    public static PngHeader Parse(ReadOnlySpan<byte> chunk, string name, ImageLimits limits)
    {
        uint width = BinaryPrimitives.ReadUInt32BigEndian(chunk);
        uint height = BinaryPrimitives.ReadUInt32BigEndian(chunk[4..]);
        byte depth = chunk[8];
        byte colourType = chunk[9];
        bool known = colourType switch
        {
            0 => depth is 1 or 2 or 4 or 8 or 16,
            3 => depth is 1 or 2 or 4 or 8,
            2 or 4 or 6 => depth is 8 or 16,
            _ => false,
        };
        if (!known || chunk[10] != 0 || chunk[11] != 0 || chunk[12] > 1)
        {
            throw ImageDecoder.Damaged(name, $"its header asks for bit depth {depth}, colour type {colourType}, " +
                $"compression {chunk[10]}, filter {chunk[11]}, interlacing {chunk[12]}, which no PNG has");
        }

        ImageDecoder.CheckSize(width, height, name, limits);
        return new PngHeader((int)width, (int)height, depth, colourType, chunk[12] == 1);
    }

    /// <summary>Bytes of a row of that many pixels, without the filter byte.</summary>
    public int RowBytes(int width) => checked((int)((((long)width * BitsPerPixel) + 7) / 8));
}
