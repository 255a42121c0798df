using BenchmarkDotNet.Attributes;
using Dvp.Engine.IO;

namespace Dvp.Benchmarks;

/// <summary>safetensors: 23 MB of f16 weights in some hundred tensors.</summary>
public class WeightFileBenchmarks
{
    private readonly string _path = Path.Combine(Sample.LanguageModel, "model.safetensors");
    private float[] _values = [];

    [GlobalSetup]
    public void Setup()
    {
        using SafetensorsFile file = new(_path);
        _values = new float[file.Entries.Values.Max(e => e.Count)];
    }

    /// <summary>Maps the file, reads and checks its header.</summary>
    [Benchmark]
    public int Open()
    {
        using SafetensorsFile file = new(_path);
        return file.Names.Count;
    }

    /// <summary>Opens, and widens every tensor to f32; the file is in the system's cache.</summary>
    [Benchmark]
    public float ReadAll()
    {
        using SafetensorsFile file = new(_path);
        foreach (TensorEntry entry in file.Entries.Values)
        {
            file.ReadFloats(entry, 0, _values.AsSpan(0, (int)entry.Count));
        }

        return _values[0];
    }
}
