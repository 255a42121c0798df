using Dvp.Engine.IO;
using Dvp.Models.Images;
using Xunit;

namespace Dvp.Tests.Models;

/// <summary>Every picture of the golden files, decoded and preprocessed in both orders.</summary>
public class ImageGoldenTests
{
    public static TheoryData<string> Pictures() => [.. Fixtures.Cases("images").Where(c => c != "images/resize-ops")];

    private static string PictureOf(string name) => Directory.GetFiles(Fixtures.Path(name), "image.*").Single();

    private static SafetensorsFile Expected(string name) => new(Path.Combine(Fixtures.Path(name), "expected.safetensors"));

    private static ClipPreprocessor Preprocessor(int size, ImageTransform transform) =>
        new(new PreprocessorConfig { ShortestEdge = size, Height = size, Width = size, Transform = transform });

    private static IEnumerable<int> Targets(SafetensorsFile file) =>
        file.Names.Where(n => n.StartsWith("resized.", StringComparison.Ordinal)).Select(n => int.Parse(n["resized.".Length..],
            System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>
    /// Exact for every format. For JPEG the golden files allow a distance, but the arithmetic here is that of the program that
    /// made them, so there is none.
    /// </summary>
    [Theory]
    [MemberData(nameof(Pictures))]
    public void Decoded_pixels_are_exact(string name)
    {
        using SafetensorsFile expected = Expected(name);
        DecodedImage image = ImageDecoder.Decode(PictureOf(name));

        Assert.Equal<int>([image.Height, image.Width, 3], expected.ShapeOf("decoded"));
        AssertSame(expected.Bytes("decoded"), image.Rgb, "decoded");
    }

    [Theory]
    [MemberData(nameof(Pictures))]
    public void Pixels_in_the_hf_order_are_exact(string name)
    {
        using SafetensorsFile expected = Expected(name);
        DecodedImage fromFile = ImageDecoder.Decode(PictureOf(name));
        DecodedImage fromPixels = new(fromFile.Width, fromFile.Height, ImageMode.Rgb, expected.Bytes("decoded").ToArray());
        Assert.NotEmpty(Targets(expected));
        foreach (int n in Targets(expected))
        {
            foreach (DecodedImage image in (DecodedImage[])[fromFile, fromPixels])
            {
                var resized = new byte[3 * n * n];
                Preprocessor(n, ImageTransform.HuggingFace).Resize(image, resized);
                AssertSame(expected.Bytes($"resized.{n}"), resized, $"resized.{n}");
            }
        }
    }

    /// <summary>The golden files hold this order only where it differs from the other.</summary>
    [Theory]
    [MemberData(nameof(Pictures))]
    public void Pixels_in_the_openai_order_are_exact(string name)
    {
        using SafetensorsFile expected = Expected(name);
        DecodedImage image = ImageDecoder.Decode(PictureOf(name));
        foreach (int n in Targets(expected))
        {
            string tensor = expected.Contains($"openai.resized.{n}") ? $"openai.resized.{n}" : $"resized.{n}";
            var resized = new byte[3 * n * n];
            Preprocessor(n, ImageTransform.OpenAi).Resize(image, resized);
            AssertSame(expected.Bytes(tensor), resized, tensor);
        }
    }

    [Theory]
    [MemberData(nameof(Pictures))]
    public void Whole_resized_pictures_are_exact(string name)
    {
        using SafetensorsFile expected = Expected(name);
        const string Tensor = "resized_uncropped.24";
        if (!expected.Contains(Tensor))
        {
            // Absent where the whole picture would be large after resizing.
            (int h, int w) = (expected.ShapeOf("decoded")[0], expected.ShapeOf("decoded")[1]);
            Assert.True(24 * Math.Max(h, w) / Math.Min(h, w) > 200 || Math.Max(h, w) > 200);
            return;
        }

        int[] from = expected.ShapeOf("decoded").ToArray();
        int[] to = expected.ShapeOf(Tensor).ToArray();
        var resized = new byte[to[0] * to[1] * 3];
        ImageResampler.Bicubic(expected.Bytes("decoded"), from[1], from[0], 3, to[1], to[0], new PixelWindow(0, 0, to[1], to[0]), resized);
        AssertSame(expected.Bytes(Tensor), resized, Tensor);
    }

    [Theory]
    [MemberData(nameof(Pictures))]
    public void Normalised_values_are_exact(string name)
    {
        using SafetensorsFile expected = Expected(name);
        DecodedImage image = ImageDecoder.Decode(PictureOf(name));
        var values = new float[3 * 24 * 24];
        var normalised = new float[values.Length];
        expected.ReadFloats("normalised.24", values);
        Preprocessor(24, ImageTransform.HuggingFace).Preprocess(image, normalised);

        for (int i = 0; i < values.Length; i++)
        {
            Assert.Equal(values[i], normalised[i], 1e-6f);
        }
    }

    [Fact]
    public void Any_size_to_any_size_is_exact()
    {
        using SafetensorsFile inputs = new(Fixtures.Path("images/resize-ops/inputs.safetensors"));
        using SafetensorsFile arrays = Expected("images/resize-ops");
        int count = inputs.Names.Count;
        Assert.True(count >= 12);
        for (int i = 0; i < count; i++)
        {
            int[] from = inputs.ShapeOf($"in.{i}").ToArray();
            int[] to = arrays.ShapeOf($"out.{i}").ToArray();
            var resized = new byte[to[0] * to[1] * 3];
            ImageResampler.Bicubic(inputs.Bytes($"in.{i}"), from[1], from[0], 3, to[1], to[0], new PixelWindow(0, 0, to[1], to[0]),
                resized);
            AssertSame(arrays.Bytes($"out.{i}"), resized, $"out.{i}");
        }
    }

    private static void AssertSame(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        int differing = 0;
        int largest = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            int distance = Math.Abs(expected[i] - actual[i]);
            differing += distance > 0 ? 1 : 0;
            largest = Math.Max(largest, distance);
        }

        Assert.True(differing == 0, $"{what}: {differing} of {expected.Length} bytes differ, by up to {largest}");
    }
}
