using System.Buffers;

namespace Dvp.Models.Images;

/// <summary>
/// Resizes a picture in its own mode and converts to RGB afterwards: palette and black-and-white pictures by nearest neighbour,
/// alpha premultiplied while colours are mixed, ink as ink.
/// </summary>
internal static class OwnModeResizer
{
    /// <summary>Resizes and crops.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="width">Columns after resizing.</param>
    /// <param name="height">Rows after resizing.</param>
    /// <param name="window">The part of the resized picture that is wanted.</param>
    /// <param name="rgb">(window.Height, window.Width, 3) bytes.</param>
    public static void Resize(DecodedImage image, int width, int height, PixelWindow window, Span<byte> rgb)
    {
        if (image.Mode is not (ImageMode.GreyAlpha or ImageMode.Rgba) || (width == image.Width && height == image.Height))
        {
            ResizeSamples(image.Samples, image.Mode, image, width, height, window, rgb);
            return;
        }

        byte[] premultiplied = ArrayPool<byte>.Shared.Rent(image.Samples.Length);
        try
        {
            Premultiply(image.Samples, premultiplied, image.Mode.BytesPerPixel());
            ResizeSamples(premultiplied, image.Mode, image, width, height, window, rgb, premultiplied: true);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(premultiplied);
        }
    }

    /// <summary>Resizes samples of a mode and converts the window to RGB.</summary>
    public static void ResizeSamples(ReadOnlySpan<byte> samples, ImageMode mode, DecodedImage image, int width, int height,
        PixelWindow window, Span<byte> rgb, bool premultiplied = false)
    {
        int channels = mode.BytesPerPixel();
        int length = window.Width * window.Height * channels;
        byte[]? rented = channels == 3 ? null : ArrayPool<byte>.Shared.Rent(length);
        Span<byte> output = rented is null ? rgb[..length] : rented.AsSpan(0, length);
        try
        {
            if (mode is ImageMode.Palette or ImageMode.Bilevel)
            {
                ImageResampler.Nearest(samples, image.Width, image.Height, channels, width, height, window, output);
            }
            else if (mode == ImageMode.Grey16)
            {
                WideResampler.Bicubic(samples, image.Width, image.Height, width, height, window, output);
            }
            else
            {
                ImageResampler.Bicubic(samples, image.Width, image.Height, channels, width, height, window, output);
            }

            if (premultiplied)
            {
                Divide(output, channels);
            }

            if (channels != 3)
            {
                DecodedImage.ToRgb(mode, output, rgb);
            }
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    private static void Premultiply(ReadOnlySpan<byte> source, Span<byte> destination, int channels)
    {
        for (int i = 0; i < source.Length; i += channels)
        {
            int alpha = source[i + channels - 1];
            for (int c = 0; c < channels - 1; c++)
            {
                destination[i + c] = (byte)DecodedImage.DivideBy255(source[i + c] * alpha);
            }

            destination[i + channels - 1] = (byte)alpha;
        }
    }

    private static void Divide(Span<byte> samples, int channels)
    {
        for (int i = 0; i < samples.Length; i += channels)
        {
            int alpha = samples[i + channels - 1];
            if (alpha is 0 or 255)
            {
                continue;
            }

            for (int c = 0; c < channels - 1; c++)
            {
                samples[i + c] = (byte)Math.Min(255, 255 * samples[i + c] / alpha);
            }
        }
    }
}
