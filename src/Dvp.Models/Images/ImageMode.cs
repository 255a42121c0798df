namespace Dvp.Models.Images;

/// <summary>What a picture's samples mean: the mode it is resized in by <see cref="ImageTransform.OpenAi"/>.</summary>
public enum ImageMode
{
    /// <summary>8-bit grey, one sample a pixel.</summary>
    Grey,

    /// <summary>16-bit grey, two bytes a pixel in the machine's order.</summary>
    Grey16,

    /// <summary>Black and white, one sample of 0 or 255 a pixel; resized by nearest neighbour.</summary>
    Bilevel,

    /// <summary>A palette already looked up, three samples a pixel; resized by nearest neighbour.</summary>
    Palette,

    /// <summary>Grey and alpha, two samples a pixel; premultiplied while resized.</summary>
    GreyAlpha,

    /// <summary>Red, green, blue.</summary>
    Rgb,

    /// <summary>Red, green, blue and alpha; premultiplied while resized.</summary>
    Rgba,

    /// <summary>Cyan, magenta, yellow and black ink, 255 is full ink.</summary>
    Cmyk,
}

/// <summary>Facts of the modes.</summary>
public static class ImageModes
{
    /// <summary>Bytes a pixel.</summary>
    public static int BytesPerPixel(this ImageMode mode) => mode switch
    {
        ImageMode.Grey or ImageMode.Bilevel => 1,
        ImageMode.Grey16 or ImageMode.GreyAlpha => 2,
        ImageMode.Palette or ImageMode.Rgb => 3,
        _ => 4,
    };
}
