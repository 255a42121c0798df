using System.Xml.Linq;
using Dvp.Models.Images;
using Dvp.Reporting;
using Dvp.Tests.Tasks;
using Xunit;

namespace Dvp.Tests.Reporting;

/// <summary>Attention over a picture, as SVG and PNG, and the PNG writer read back by the decoder.</summary>
public class HeatMapTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 2)]
    [InlineData(31, 257)]
    public void Written_png_decodes_to_the_same_pixels(int width, int height)
    {
        byte[] pixels = new byte[width * height * 3];
        new Random(width).NextBytes(pixels);
        using MemoryStream stream = new();
        PngWriter.Write(stream, pixels, width, height);
        DecodedImage decoded = ImageDecoder.Decode(stream.ToArray(), "map.png");
        Assert.Equal((width, height), (decoded.Width, decoded.Height));
        Assert.Equal(pixels, decoded.Rgb);
    }

    [Fact]
    public void Heads_are_averaged_and_the_class_token_left_out()
    {
        float[] probabilities = [0.6f, 0.1f, 0.1f, 0.1f, 0.1f, 0.2f, 0.5f, 0.1f, 0.1f, 0.1f];
        AttentionGrid grid = AttentionGrid.FromHeads(probabilities, heads: 2, tokens: 5);
        Assert.Equal((2, 2), (grid.Rows, grid.Columns));
        Assert.Equal([0.3f, 0.1f, 0.1f, 0.1f], grid.Weights, (a, b) => Math.Abs(a - b) < 1e-6f);
        Assert.Throws<ArgumentException>(() => AttentionGrid.FromHeads(new float[12], 2, 6));
    }

    [Fact]
    public void Svg_covers_the_centred_square_with_one_patch_a_weight()
    {
        ReportPicture picture = new(SampleReport.Picture.Bytes, 100, 60);
        XElement svg = XDocument.Parse(HeatMap.Svg(new AttentionGrid(2, 3, [0, 1, 2, 3, 8, 5]), picture)).Root!;
        XNamespace ns = "http://www.w3.org/2000/svg";
        XElement[] patches = [.. svg.Descendants(ns + "rect")];
        Assert.Equal(6, patches.Length);
        double[] x = [.. patches.Select(p => (double)p.Attribute("x")!)], y = [.. patches.Select(p => (double)p.Attribute("y")!)];
        Assert.Equal([20, 40, 60, 20, 40, 60], x);
        Assert.Equal([0, 0, 0, 30, 30, 30], y);
        double[] opacity = [.. patches.Select(p => (double)p.Attribute("fill-opacity")!)];
        Assert.Equal(0, opacity[0]);
        Assert.Equal(opacity.Max(), opacity[4]);
        Assert.StartsWith("data:image/png;base64,", svg.Descendants(ns + "image").Single().Attribute("href")!.Value);
    }

    [Fact]
    public void Png_is_bright_where_the_attention_is_and_untouched_where_none_is()
    {
        using TemporaryFolder folder = new();
        DecodedImage picture = ImageDecoder.Decode(SampleReport.Picture.Bytes, "picture");
        AttentionGrid corner = new(8, 8, [.. Enumerable.Range(0, 64).Select(i => i == 0 ? 1f : 0f)]);
        HeatMap.Save(folder.File("out.png"), corner, SampleReport.Picture, picture.Rgb);
        DecodedImage map = ImageDecoder.Decode(folder.File("out.png"));
        Assert.Equal((256, 256), (map.Width, map.Height)); // 64 pixels enlarged by 4
        for (int y = 0; y < 256; y += 5)
        {
            for (int x = 128; x < 256; x += 5)
            {
                Assert.Equal(picture.Rgb[(((y / 4) * 64) + (x / 4)) * 3], map.Rgb[((y * 256) + x) * 3]);
            }
        }

        int red = picture.Rgb[0], expected = (int)Math.Round((0.25 * red) + (0.75 * 250));
        Assert.InRange(map.Rgb[0], expected - 1, expected + 1);
        HeatMap.Save(folder.File("out.svg"), corner, SampleReport.Picture, picture.Rgb);
        Assert.Contains("<image", File.ReadAllText(folder.File("out.svg")));
        Errors.Contains(() => HeatMap.Save(folder.File("out.gif"), corner, SampleReport.Picture, picture.Rgb), "out.gif", ".svg or .png");
    }

    [Fact]
    public void Interpolation_is_exact_at_centres_linear_between_and_constant_outside()
    {
        float[] weights = [0, 1, 2, 5];
        Assert.Equal(0, HeatMap.Interpolate(weights, 2, 2, 0.25, 0.25), 1e-12);
        Assert.Equal(5, HeatMap.Interpolate(weights, 2, 2, 0.75, 0.75), 1e-12);
        Assert.Equal(2, HeatMap.Interpolate(weights, 2, 2, 0.5, 0.5), 1e-12);
        Assert.Equal(1, HeatMap.Interpolate(weights, 2, 2, 1, 0), 1e-12);
    }
}
