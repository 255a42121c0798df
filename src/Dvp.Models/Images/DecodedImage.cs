using System.Runtime.InteropServices;

namespace Dvp.Models.Images;

/// <summary>A picture as its file stores it: size, mode and interleaved samples, top row first.</summary>
public sealed class DecodedImage
{
    private byte[]? _rgb;

    /// <summary>Wraps samples that exist already; they are not copied.</summary>
    /// <param name="width">Pixels in a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="mode">What the samples mean.</param>
    /// <param name="samples">(height, width, bytes a pixel of <paramref name="mode"/>).</param>
    /// <exception cref="ArgumentException">The number of samples does not fit the size.</exception>
    public DecodedImage(int width, int height, ImageMode mode, byte[] samples)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        long expected = (long)width * height * mode.BytesPerPixel();
        if (samples.Length != expected)
        {
            throw new ArgumentException($"A picture of {width}x{height} in mode {mode} has {expected} bytes, not {samples.Length}.",
                nameof(samples));
        }

        Width = width;
        Height = height;
        Mode = mode;
        Samples = samples;
    }

    /// <summary>Pixels in a row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>What <see cref="Samples"/> mean.</summary>
    public ImageMode Mode { get; }

    /// <summary>(Height, Width, bytes a pixel) samples in the picture's own mode.</summary>
    public byte[] Samples { get; }

    /// <summary>
    /// (Height, Width, 3) red, green, blue, made on first use: alpha dropped, grey repeated, 16-bit grey saturated at 255 (as
    /// the published preprocessing has it), CMYK by (255 - C)(255 - K) / 255.
    /// </summary>
    public byte[] Rgb => _rgb ??= Mode is ImageMode.Rgb or ImageMode.Palette ? Samples : Convert();

    private byte[] Convert()
    {
        var rgb = new byte[checked(Width * Height * 3)];
        ToRgb(Mode, Samples, rgb);
        return rgb;
    }

    /// <summary>Converts samples of any mode to red, green, blue.</summary>
    internal static void ToRgb(ImageMode mode, ReadOnlySpan<byte> samples, Span<byte> rgb)
    {
        switch (mode)
        {
            case ImageMode.Rgb or ImageMode.Palette:
                samples.CopyTo(rgb);
                break;
            case ImageMode.Grey or ImageMode.Bilevel:
                for (int i = 0, o = 0; i < samples.Length; i++, o += 3)
                {
                    rgb[o] = rgb[o + 1] = rgb[o + 2] = samples[i];
                }

                break;
            case ImageMode.GreyAlpha:
                for (int i = 0, o = 0; i < samples.Length; i += 2, o += 3)
                {
                    rgb[o] = rgb[o + 1] = rgb[o + 2] = samples[i];
                }

                break;
            case ImageMode.Grey16:
                ReadOnlySpan<ushort> wide = MemoryMarshal.Cast<byte, ushort>(samples);
                for (int i = 0, o = 0; i < wide.Length; i++, o += 3)
                {
                    rgb[o] = rgb[o + 1] = rgb[o + 2] = (byte)Math.Min(wide[i], (ushort)255);
                }

                break;
            case ImageMode.Rgba:
                for (int i = 0, o = 0; i < samples.Length; i += 4, o += 3)
                {
                    rgb[o] = samples[i];
                    rgb[o + 1] = samples[i + 1];
                    rgb[o + 2] = samples[i + 2];
                }

                break;
            case ImageMode.Cmyk:
                for (int i = 0, o = 0; i < samples.Length; i += 4, o += 3)
                {
                    int light = 255 - samples[i + 3];
                    rgb[o] = Paint(samples[i], light);
                    rgb[o + 1] = Paint(samples[i + 1], light);
                    rgb[o + 2] = Paint(samples[i + 2], light);
                }

                break;
        }
    }

    private static byte Paint(int ink, int light) => (byte)Math.Max(0, light - DivideBy255(ink * light));

    /// <summary>x / 255 rounded to nearest, for products of two bytes.</summary>
    internal static int DivideBy255(int x)
    {
        x += 128;
        return ((x >> 8) + x) >> 8;
    }
}
