using Dvp.Engine;

namespace Dvp.Models.Images;

/// <summary>
/// Reads PNG, JPEG, GIF and BMP, told apart by content, never by name. Sizes are checked against <see cref="ImageLimits"/>
/// before anything is allocated for them, and a file that is not whole is refused. EXIF orientation, gamma and colour
/// profiles are ignored, as the published preprocessing ignores them.
/// </summary>
public static class ImageDecoder
{
    /// <summary>Decodes a file.</summary>
    /// <param name="path">The picture.</param>
    /// <param name="limits">What it may ask for; the default limit when null.</param>
    /// <exception cref="DvpException">The file is missing, damaged, too large or of an unsupported kind.</exception>
    public static DecodedImage Decode(string path, ImageLimits? limits = null)
    {
        byte[] data;
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            Span<byte> head = stackalloc byte[16];
            int read = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
            Sniff(head[..read], path);
            stream.Position = 0;
            data = new byte[stream.Length];
            stream.ReadExactly(data);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new DvpException($"The picture {path} cannot be read: {e.Message}", e);
        }

        return Decode(data, path, limits ?? ImageLimits.Default);
    }

    /// <summary>Decodes a picture in memory.</summary>
    /// <param name="data">The whole file.</param>
    /// <param name="name">What error messages call it.</param>
    /// <param name="limits">What it may ask for; the default limit when null.</param>
    /// <exception cref="DvpException">The picture is damaged, too large or of an unsupported kind.</exception>
    public static DecodedImage Decode(ReadOnlySpan<byte> data, string name, ImageLimits? limits = null)
    {
        Sniff(data, name);
        return Decode(data.ToArray(), name, limits ?? ImageLimits.Default);
    }

    private static DecodedImage Decode(byte[] data, string name, ImageLimits limits)
    {
        try
        {
            return Sniff(data, name) switch
            {
                ImageFormat.Png => PngReader.Read(data, name, limits),
                ImageFormat.Jpeg => JpegReader.Read(data, name, limits),
                ImageFormat.Gif => GifReader.Read(data, name, limits),
                _ => BmpReader.Read(data, name, limits),
            };
        }
        catch (Exception e) when (e is IndexOutOfRangeException or ArgumentException or InvalidOperationException
            or InvalidDataException or OverflowException or ArithmeticException or NullReferenceException or IOException)
        {
            // What a decoder meets in a file with absurd contents; the file is at fault, whatever the kind of exception.
            throw Damaged(name, "its data make no sense", e);
        }
    }

    private static ImageFormat Sniff(ReadOnlySpan<byte> head, string name)
    {
        if (head.StartsWith(PngReader.Signature))
        {
            return ImageFormat.Png;
        }

        if (head.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]))
        {
            return ImageFormat.Jpeg;
        }

        if (head.StartsWith("GIF87a"u8) || head.StartsWith("GIF89a"u8))
        {
            return ImageFormat.Gif;
        }

        if (head.StartsWith("BM"u8))
        {
            return ImageFormat.Bmp;
        }

        string found = head.IsEmpty ? "is empty"
            : head.Length >= 12 && head.StartsWith("RIFF"u8) && head[8..].StartsWith("WEBP"u8) ? "is a WebP picture"
            : head.StartsWith("II*\0"u8) || head.StartsWith("MM\0*"u8) ? "is a TIFF picture"
            : head.Length >= 8 && head[4..].StartsWith("ftyp"u8) ? "is an AVIF or HEIF picture"
            : "is not a picture";
        throw new DvpException($"{name} {found}; the formats read here are PNG, JPEG, GIF and BMP.");
    }

    /// <summary>The error of a damaged file.</summary>
    internal static DvpException Damaged(string name, string fault, Exception? inner = null) =>
        new($"The picture {name} is damaged: {fault}; replace the file.", inner);

    /// <summary>The error of a kind of picture that is not read.</summary>
    internal static DvpException Unsupported(string name, string kind) =>
        new($"The picture {name} uses {kind}, which is not supported; convert it to an 8-bit PNG or JPEG.");

    /// <summary>Refuses empty pictures and those beyond the limit.</summary>
    internal static void CheckSize(long width, long height, string name, ImageLimits limits)
    {
        if (width < 1 || height < 1)
        {
            throw Damaged(name, $"its header says {width}x{height} pixels");
        }

        // The second bound keeps every buffer of four bytes a pixel indexable.
        if (width > limits.MaxPixels / height || width * height > int.MaxValue / 4)
        {
            throw new DvpException(
                $"The picture {name} claims {width}x{height} pixels, more than the limit of {limits.MaxPixels}; " +
                "make it smaller or raise the limit with --max-pixels.");
        }
    }

    private enum ImageFormat
    {
        Png,
        Jpeg,
        Gif,
        Bmp,
    }
}
