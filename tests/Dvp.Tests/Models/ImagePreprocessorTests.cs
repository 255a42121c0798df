using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Models.Images;
using Dvp.Tests.Tasks;
using Xunit;

namespace Dvp.Tests.Models;

/// <summary>Settings, batches and allocation of the preprocessing.</summary>
public class ImagePreprocessorTests
{
    private static readonly string s_samples = Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa");

    private static PreprocessorConfig Parse(string json)
    {
        using TemporaryFolder folder = new();
        folder.Write("preprocessor_config.json", json);
        return PreprocessorConfig.Load(folder.Path);
    }

    [Fact]
    public void Old_and_new_forms_say_the_same()
    {
        PreprocessorConfig old = Parse("""{"size": 64, "crop_size": 48, "resample": 3, "do_resize": true}""");
        PreprocessorConfig today = Parse(
            """
            {
              "size": {"shortest_edge": 64}, "crop_size": {"height": 48, "width": 48},
              "do_rescale": true, "rescale_factor": 0.00392156862745098
            }
            """);

        Assert.Equal(64, old.ShortestEdge);
        Assert.Equal((48, 48), (old.Height, old.Width));
        Assert.Equal((today.ShortestEdge, today.Height, today.Width), (old.ShortestEdge, old.Height, old.Width));
        Assert.Equal(today.RescaleFactor, old.RescaleFactor, 1e-15);
        Assert.Equal(ImageTransform.OpenAi, old.Transform);
    }

    [Fact]
    public void The_transform_of_the_file_can_be_overridden()
    {
        using TemporaryFolder folder = new();
        string file = folder.Write("preprocessor_config.json", """{"size": 24, "crop_size": 24, "imageTransform": "hf"}""");

        Assert.Equal(ImageTransform.HuggingFace, ClipPreprocessor.Load(file).Config.Transform);
        Assert.Equal(ImageTransform.OpenAi, ClipPreprocessor.Load(folder.Path, ImageTransform.OpenAi).Config.Transform);
    }

    [Fact]
    public void A_fixed_size_without_crop_stretches()
    {
        PreprocessorConfig config = Parse("""{"size": {"height": 8, "width": 12}, "do_center_crop": false, "do_normalize": false}""");
        DecodedImage image = ImageDecoder.Decode(Fixtures.Path("images/png-rgb/image.png"));
        var resized = new byte[8 * 12 * 3];
        var direct = new byte[8 * 12 * 3];
        new ClipPreprocessor(config).Resize(image, resized);
        ImageResampler.Bicubic(image.Rgb, image.Width, image.Height, 3, 12, 8, new PixelWindow(0, 0, 12, 8), direct);
        var values = new float[8 * 12 * 3];
        new ClipPreprocessor(config).Preprocess(image, values);

        Assert.Equal(direct, resized);
        Assert.Equal(direct[3] / 255f, values[1], 1e-7f);
    }

    [Theory]
    [InlineData("""{"size": 24, "crop_size": 24, "resample": 2}""", "bicubic")]
    [InlineData("""{"size": 24, "crop_size": 24, "imageTransform": "other"}""", "openai or hf")]
    [InlineData("""{"size": {"shortest_edge": 24}, "do_center_crop": false}""", "do_center_crop")]
    [InlineData("""{"size": {"height": 20, "width": 24}, "crop_size": 16}""", "shortest_edge")]
    [InlineData("""{"size": 0, "crop_size": 24}""", "size")]
    [InlineData("""{"size": "large"}""", "preprocessor_config.json")]
    [InlineData("""{"size": {"longest_edge": 24}}""", "preprocessor_config.json")]
    [InlineData("""{"size": 24, "image_std": [1, 0, 1]}""", "image_std")]
    [InlineData("""{"size": 24, "image_mean": [1]}""", "image_mean")]
    [InlineData("not json", "preprocessor_config.json")]
    public void Settings_that_make_no_sense_are_refused(string json, string part) => Errors.Contains(() => Parse(json), part);

    [Fact]
    public void Missing_settings_are_named() => Errors.Contains(() => ClipPreprocessor.Load("/nowhere"), "/nowhere");

    [Fact]
    public void Too_small_pictures_are_refused_where_nothing_resizes() => Errors.Contains(
        () => new ClipPreprocessor(new PreprocessorConfig { Resize = false })
            .Preprocess(ImageDecoder.Decode(Fixtures.Path("images/png-rgb/image.png")), new float[3 * 224 * 224]),
        "47x31", "224x224");

    [Fact]
    public void Batches_equal_single_pictures_on_any_number_of_threads()
    {
        ClipPreprocessor preprocessor = ClipPreprocessor.Load(Path.Combine(s_samples, "vision-model"));
        string[] paths = [.. Directory.GetFiles(Path.Combine(s_samples, "data", "images")).Order(StringComparer.Ordinal).Take(12)];
        var one = new float[paths.Length * preprocessor.OutputLength];
        var many = new float[one.Length];
        preprocessor.Preprocess(paths, one);
        preprocessor.Preprocess(paths, many, threads: 3);
        PreprocessedImage last = preprocessor.Preprocess(paths[^1]);

        Assert.Equal(12, paths.Length);
        Assert.Equal(one, many);
        Assert.Equal(last.Normalised, one[^preprocessor.OutputLength..]);
        Assert.Equal((64, 64), (last.Height, last.Width));
    }

    /// <summary>The sample's pictures against the values that another implementation made of the same files.</summary>
    [Fact]
    public void The_samples_pictures_equal_the_reference()
    {
        using SafetensorsFile reference = new(Path.Combine(s_samples, "reference.safetensors"));
        using JsonDocument names = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(s_samples, "reference.json")));
        string[] paths = [.. names.RootElement.GetProperty("pictures").EnumerateArray()
            .Select(p => Path.Combine(s_samples, "data", p.GetString()!))];
        ClipPreprocessor preprocessor = ClipPreprocessor.Load(Path.Combine(s_samples, "vision-model"), ImageTransform.HuggingFace);
        var expected = new float[paths.Length * preprocessor.OutputLength];
        var actual = new float[expected.Length];
        reference.ReadFloats("pixel_values", expected);
        preprocessor.Preprocess(paths, actual);

        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], 1e-6f);
        }
    }

    [Fact]
    public void An_error_on_a_thread_names_its_picture()
    {
        string bad = Fixtures.Path("images/bad/truncated.png");
        string good = Fixtures.Path("images/png-rgb/image.png");
        ClipPreprocessor preprocessor = new(new PreprocessorConfig());
        Assert.Contains(bad, Assert.Throws<DvpException>(
            () => preprocessor.Preprocess([good, bad], new float[2 * preprocessor.OutputLength], threads: 2)).Message);
    }

    [Theory]
    [InlineData(ImageTransform.OpenAi, "photo-size/image.jpg")]
    [InlineData(ImageTransform.HuggingFace, "photo-size/image.jpg")]
    [InlineData(ImageTransform.OpenAi, "png-rgba/image.png")]
    [InlineData(ImageTransform.OpenAi, "jpeg-cmyk/image.jpg")]
    public void Preprocessing_a_decoded_picture_allocates_nothing(ImageTransform transform, string file)
    {
        DecodedImage image = ImageDecoder.Decode(Fixtures.Path("images/" + file));
        ClipPreprocessor preprocessor = new(new PreprocessorConfig { Transform = transform });
        var values = new float[preprocessor.OutputLength];
        preprocessor.Preprocess(image, values);
        long before = GC.GetAllocatedBytesForCurrentThread();
        preprocessor.Preprocess(image, values);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
