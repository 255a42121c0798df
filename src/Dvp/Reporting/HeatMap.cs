using System.Globalization;
using System.Text;
using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Reporting;

/// <summary>
/// Attention drawn over a picture: strong colours where the prompt looked, the picture itself where it did not. As SVG (the
/// picture's own file with a translucent square a patch) or PNG (the weights interpolated between the patches' centres).
/// </summary>
public static class HeatMap
{
    private const double Strength = 0.75;

    /// <summary>The colour scale from least to most attention; dark to bright, so that it reads in grey too.</summary>
    private static readonly (double R, double G, double B)[] s_scale =
        [(40, 20, 110), (130, 20, 160), (210, 70, 110), (250, 150, 60), (250, 245, 70)];

    /// <summary>Writes a heat map in the format that the file's name asks for.</summary>
    /// <param name="path">Ends in <c>.svg</c> or <c>.png</c>.</param>
    /// <param name="grid">The attention.</param>
    /// <param name="picture">The picture as it lies on disk, for SVG.</param>
    /// <param name="rgb">(picture.Height, picture.Width, 3), its decoded pixels, for PNG.</param>
    /// <exception cref="DvpException">Another ending, or the file cannot be written.</exception>
    public static void Save(string path, AttentionGrid grid, ReportPicture picture, ReadOnlyMemory<byte> rgb)
    {
        switch (Path.GetExtension(path).ToUpperInvariant())
        {
            case ".SVG":
                AtomicFile.WriteText(path, Svg(grid, picture));
                break;
            case ".PNG":
                AtomicFile.Write(path, stream => WritePng(stream, grid, rgb.Span, picture.Width, picture.Height));
                break;
            default:
                throw new DvpException($"The heat map {path} must end in .svg or .png.");
        }
    }

    /// <summary>The heat map as an SVG document of its own, the picture inside it.</summary>
    public static string Svg(AttentionGrid grid, ReportPicture picture)
    {
        StringBuilder svg = new();
        CultureInfo c = CultureInfo.InvariantCulture;
        svg.Append(c, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {picture.Width} {picture.Height}\" ");
        svg.Append(c, $"width=\"{Math.Max(picture.Width, 256)}\" role=\"img\" aria-label=\"Attention over the picture\">\n");
        svg.Append(c, $"<image href=\"{picture.DataUri()}\" width=\"{picture.Width}\" height=\"{picture.Height}\"/>\n");
        (double left, double top, double side) = Square(picture.Width, picture.Height);
        double width = side / grid.Columns, height = side / grid.Rows;
        float[] weights = grid.Scaled();
        svg.Append("<g class=\"attention\" shape-rendering=\"crispEdges\">\n");
        for (int i = 0; i < weights.Length; i++)
        {
            (double r, double g, double b) = Colour(weights[i]);
            svg.Append(c, $"<rect x=\"{left + (i % grid.Columns * width):0.###}\" y=\"{top + (i / grid.Columns * height):0.###}\" ");
            svg.Append(c, $"width=\"{width:0.###}\" height=\"{height:0.###}\" fill=\"rgb({r:0},{g:0},{b:0})\" ");
            svg.Append(c, $"fill-opacity=\"{Opacity(weights[i]):0.###}\"><title>{grid.Weights[i]:0.0000}</title></rect>\n");
        }

        return svg.Append("</g>\n</svg>\n").ToString();
    }

    /// <summary>Writes the heat map as PNG; small pictures are enlarged by a whole factor to at least 256 pixels a side.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="grid">The attention.</param>
    /// <param name="rgb">(height, width, 3) pixels of the picture.</param>
    /// <param name="width">Pixels across.</param>
    /// <param name="height">Pixels down.</param>
    public static void WritePng(Stream stream, AttentionGrid grid, ReadOnlySpan<byte> rgb, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(rgb.Length, width * height * 3);
        int factor = Math.Max(1, (255 + Math.Min(width, height)) / Math.Min(width, height));
        byte[] pixels = new byte[width * factor * height * factor * 3];
        (double left, double top, double side) = Square(width, height);
        float[] weights = grid.Scaled();
        int at = 0;
        for (int y = 0; y < height * factor; y++)
        {
            double v = (((y + 0.5) / factor) - top) / side;
            for (int x = 0; x < width * factor; x++, at += 3)
            {
                double u = (((x + 0.5) / factor) - left) / side;
                ReadOnlySpan<byte> pixel = rgb.Slice(((y / factor * width) + (x / factor)) * 3, 3);
                bool seen = u is >= 0 and <= 1 && v is >= 0 and <= 1;
                double weight = seen ? Interpolate(weights, grid.Rows, grid.Columns, u, v) : 0, opacity = seen ? Opacity(weight) : 0;
                (double r, double g, double b) = Colour(weight);
                pixels[at] = Blend(pixel[0], r, opacity);
                pixels[at + 1] = Blend(pixel[1], g, opacity);
                pixels[at + 2] = Blend(pixel[2], b, opacity);
            }
        }

        PngWriter.Write(stream, pixels, width * factor, height * factor);
    }

    /// <summary>
    /// The weight at (u, v) in [0, 1] of the grid: bilinear between the centres of the patches, constant beyond the outer ones.
    /// </summary>
    internal static double Interpolate(ReadOnlySpan<float> weights, int rows, int columns, double u, double v)
    {
        double x = Math.Clamp((u * columns) - 0.5, 0, columns - 1), y = Math.Clamp((v * rows) - 0.5, 0, rows - 1);
        int x0 = (int)x, y0 = (int)y, x1 = Math.Min(x0 + 1, columns - 1), y1 = Math.Min(y0 + 1, rows - 1);
        double fx = x - x0, fy = y - y0;
        double upper = (weights[(y0 * columns) + x0] * (1 - fx)) + (weights[(y0 * columns) + x1] * fx);
        double lower = (weights[(y1 * columns) + x0] * (1 - fx)) + (weights[(y1 * columns) + x1] * fx);
        return (upper * (1 - fy)) + (lower * fy);
    }

    private static (double Left, double Top, double Side) Square(int width, int height)
    {
        int side = Math.Min(width, height);
        return ((width - side) / 2.0, (height - side) / 2.0, side);
    }

    private static double Opacity(double weight) => Strength * weight;

    private static byte Blend(byte pixel, double colour, double opacity) => (byte)Math.Round((pixel * (1 - opacity)) + (colour * opacity));

    private static (double R, double G, double B) Colour(double weight)
    {
        double at = weight * (s_scale.Length - 1);
        int i = Math.Min((int)at, s_scale.Length - 2);
        double f = at - i;
        ((double r0, double g0, double b0), (double r1, double g1, double b1)) = (s_scale[i], s_scale[i + 1]);
        return (r0 + (f * (r1 - r0)), g0 + (f * (g1 - g0)), b0 + (f * (b1 - b0)));
    }
}
