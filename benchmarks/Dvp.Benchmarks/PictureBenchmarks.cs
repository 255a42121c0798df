using BenchmarkDotNet.Attributes;
using Dvp.Engine;
using Dvp.Models.Images;
using Dvp.Tasks.Vqa;

namespace Dvp.Benchmarks;

/// <summary>A picture file to the pixel values of a vision model, and its parts.</summary>
[MemoryDiagnoser]
public class PictureBenchmarks
{
    private const int Width = 640;
    private const int Height = 480;
    private const int Shorter = 224;
    private readonly byte[] _photo = new byte[Height * Width * 3];
    private readonly byte[] _resized = new byte[Shorter * Shorter * 3];
    private string _path = "";
    private byte[] _file = [];
    private DecodedImage _image = null!;
    private ClipPreprocessor _preprocessor = null!;
    private float[] _pixels = [];

    [GlobalSetup]
    public void Setup()
    {
        _path = VqaDataset.Open(Sample.Data).Split("test").Examples[0].ImagePath;
        _file = File.ReadAllBytes(_path);
        _image = ImageDecoder.Decode(_path);
        _preprocessor = ClipPreprocessor.Load(Sample.VisionModel);
        _pixels = new float[_preprocessor.OutputLength];
        SeededRandom random = new(1);
        for (int i = 0; i < _photo.Length; i++)
        {
            _photo[i] = (byte)random.NextInt(256);
        }
    }

    /// <summary>One of the sample's PNG files, from memory.</summary>
    [Benchmark]
    public int DecodePng() => ImageDecoder.Decode(_file, _path).Width;

    /// <summary>The decoded picture to (3, 64, 64) values: resize, crop, normalise.</summary>
    [Benchmark]
    public float Preprocess()
    {
        _preprocessor.Preprocess(_image, _pixels);
        return _pixels[0];
    }

    /// <summary>The PNG file to values, reading it included.</summary>
    [Benchmark]
    public float FileToPixels()
    {
        _preprocessor.Preprocess(ImageDecoder.Decode(_path), _pixels);
        return _pixels[0];
    }

    /// <summary>PIL's antialiased bicubic of 640 x 480 RGB to the 224 x 224 in the middle of 299 x 224.</summary>
    [Benchmark]
    public byte ResizePhoto()
    {
        const int longer = Width * Shorter / Height;
        ImageResampler.Bicubic(
            _photo, Width, Height, 3, longer, Shorter, new PixelWindow((longer - Shorter) / 2, 0, Shorter, Shorter), _resized);
        return _resized[0];
    }
}
