using System.Buffers;
using Dvp.Engine;

namespace Dvp.Models.Images;

/// <summary>
/// Pictures to the input of a CLIP vision tower: shorter side to the target by antialiased bicubic interpolation, centre crop,
/// scale to [0, 1], mean and deviation. Immutable; one instance serves any number of threads.
/// </summary>
public sealed class ClipPreprocessor
{
    private readonly float[] _normalised; // (3, 256): what each byte becomes in each channel

    /// <summary>Makes a preprocessor.</summary>
    /// <param name="config">Sizes, mean, deviation and order of the steps.</param>
    /// <param name="limits">What a picture file may ask for; the default limit when null.</param>
    public ClipPreprocessor(PreprocessorConfig config, ImageLimits? limits = null)
    {
        Config = config;
        Limits = limits ?? ImageLimits.Default;
        _normalised = new float[3 * 256];
        for (int c = 0; c < 3; c++)
        {
            for (int v = 0; v < 256; v++)
            {
                _normalised[(256 * c) + v] = (float)(((v * config.RescaleFactor) - config.Mean[c]) / config.Deviation[c]);
            }
        }
    }

    /// <summary>The settings.</summary>
    public PreprocessorConfig Config { get; }

    /// <summary>What a picture file may ask for.</summary>
    public ImageLimits Limits { get; }

    /// <summary>Values of one picture: 3 x Height x Width.</summary>
    public int OutputLength => 3 * Config.Height * Config.Width;

    /// <summary>Reads <c>preprocessor_config.json</c>.</summary>
    /// <param name="path">The file, or a folder that holds it.</param>
    /// <param name="transform">Order of the steps, in place of the file's.</param>
    /// <param name="limits">What a picture file may ask for; the default limit when null.</param>
    /// <exception cref="DvpException">The file is missing or not valid.</exception>
    public static ClipPreprocessor Load(string path, ImageTransform? transform = null, ImageLimits? limits = null)
    {
        PreprocessorConfig config = PreprocessorConfig.Load(path);
        return new ClipPreprocessor(transform is { } order ? config with { Transform = order } : config, limits);
    }

    /// <summary>Runs all steps on a file and keeps what each of them gives.</summary>
    /// <exception cref="DvpException">The picture cannot be read.</exception>
    public PreprocessedImage Preprocess(string path)
    {
        DecodedImage image = ImageDecoder.Decode(path, Limits);
        var resized = new byte[OutputLength];
        var normalised = new float[OutputLength];
        Resize(image, resized);
        Normalise(resized, normalised);
        return new PreprocessedImage(image, resized, normalised, Config.Height, Config.Width);
    }

    /// <summary>Writes a picture's (3, Height, Width) values.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="destination"><see cref="OutputLength"/> values.</param>
    /// <exception cref="DvpException">The picture is too small and the settings do not resize.</exception>
    public void Preprocess(DecodedImage image, Span<float> destination)
    {
        byte[] resized = ArrayPool<byte>.Shared.Rent(OutputLength);
        try
        {
            Resize(image, resized.AsSpan(0, OutputLength));
            Normalise(resized.AsSpan(0, OutputLength), destination);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(resized);
        }
    }

    /// <summary>Writes the (pictures, 3, Height, Width) values of files.</summary>
    /// <param name="paths">The files.</param>
    /// <param name="destination"><see cref="OutputLength"/> values a file.</param>
    /// <param name="threads">How many files are read at the same time.</param>
    /// <exception cref="DvpException">A picture cannot be read; the message names it.</exception>
    public void Preprocess(IReadOnlyList<string> paths, Memory<float> destination, int threads = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, paths.Count * OutputLength, nameof(destination));
        if (threads <= 1)
        {
            for (int i = 0; i < paths.Count; i++)
            {
                One(paths, destination, i);
            }

            return;
        }

        try
        {
            Parallel.For(0, paths.Count, new ParallelOptions { MaxDegreeOfParallelism = threads }, i => One(paths, destination, i));
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<DvpException>().FirstOrDefault() is { } first)
        {
            throw new DvpException(first.Message, e, first.ExitCode);
        }
    }

    /// <summary>Resizes and crops.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="destination">(Height, Width, 3) bytes.</param>
    /// <exception cref="DvpException">The picture is too small and the settings do not resize.</exception>
    public void Resize(DecodedImage image, Span<byte> destination)
    {
        (int width, int height) = ResizedSize(image);
        bool halfToEven = Config.Transform == ImageTransform.OpenAi;
        PixelWindow window = new(Offset(width - Config.Width, halfToEven), Offset(height - Config.Height, halfToEven),
            Config.Width, Config.Height);
        if (window.Left < 0 || window.Top < 0)
        {
            throw new DvpException(
                $"A picture of {image.Width}x{image.Height} pixels cannot be cropped to {Config.Width}x{Config.Height}; " +
                "let the image settings resize it (do_resize, and size not below crop_size).");
        }

        if (halfToEven)
        {
            OwnModeResizer.Resize(image, width, height, window, destination);
            return;
        }

        // Grey repeated three times resizes to the same as grey resized once.
        bool grey = image.Mode is ImageMode.Grey or ImageMode.Bilevel;
        byte[] samples = grey ? image.Samples : image.Rgb;
        OwnModeResizer.ResizeSamples(samples, grey ? ImageMode.Grey : ImageMode.Rgb, image, width, height, window, destination);
    }

    /// <summary>The size before cropping: the short side exact, the long one rounded down.</summary>
    private (int Width, int Height) ResizedSize(DecodedImage image)
    {
        if (!Config.Resize)
        {
            return (image.Width, image.Height);
        }

        if (Config.ShortestEdge is not { } target)
        {
            return (Config.Width, Config.Height);
        }

        int shortSide = Math.Min(image.Width, image.Height);
        int longSide = Math.Max(image.Width, image.Height);
        double exact = (double)target * longSide / shortSide;
        if (exact > 1 << 24)
        {
            throw new DvpException($"A picture of {image.Width}x{image.Height} pixels is too narrow to be resized.");
        }

        return image.Width <= image.Height ? (target, (int)exact) : ((int)exact, target);
    }

    private static int Offset(int spare, bool halfToEven) =>
        halfToEven && spare >= 0 ? (int)Math.Round(spare / 2.0, MidpointRounding.ToEven) : spare >> 1;

    private void Normalise(ReadOnlySpan<byte> resized, Span<float> destination)
    {
        int plane = Config.Height * Config.Width;
        for (int c = 0; c < 3; c++)
        {
            ReadOnlySpan<float> values = _normalised.AsSpan(256 * c, 256);
            Span<float> output = destination.Slice(c * plane, plane);
            for (int i = 0, b = c; i < output.Length; i++, b += 3)
            {
                output[i] = values[resized[b]];
            }
        }
    }

    private void One(IReadOnlyList<string> paths, Memory<float> destination, int i) =>
        Preprocess(ImageDecoder.Decode(paths[i], Limits), destination.Span.Slice(i * OutputLength, OutputLength));
}
