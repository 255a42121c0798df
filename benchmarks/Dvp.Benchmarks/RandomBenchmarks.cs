using BenchmarkDotNet.Attributes;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;

namespace Dvp.Benchmarks;

/// <summary>Counter-based random numbers: 2^16 of each kind.</summary>
public class RandomBenchmarks
{
    private const int Count = 1 << 16;
    private readonly float[] _values = new float[Count];
    private CpuBackend _device = null!;
    private DeviceBuffer _memory = null!;
    private Tensor _x = null!;
    private Tensor _y = null!;
    private Dropout _dropout = null!;

    [GlobalSetup]
    public void Setup()
    {
        _device = new CpuBackend(1);
        _memory = _device.Allocate((2 * Count * sizeof(float)) + 16);
        _x = new Tensor(_memory, 0, ElementType.F32, [Count / 64, 64]);
        _y = new Tensor(_memory, Count * sizeof(float), ElementType.F32, [Count / 64, 64]);
        Tensor state = new(_memory, 2 * Count * sizeof(float), ElementType.I32, [4]);
        _device.Upload(state, (int[])[1, 0, 2, 0]);
        _device.Fill(_x, 1);
        _dropout = new Dropout(0.1f, Site: 3, state);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _memory.Dispose();
        _device.Dispose();
    }

    /// <summary>Dropout factors as the plain form makes them, which the faster ones are tested against.</summary>
    [Benchmark(Baseline = true)]
    public float DropoutFactors()
    {
        Philox.DropoutFactors(_values, 0.1f, seed: 1, step: 2, site: 3);
        return _values[0];
    }

    /// <summary>The CPU's dropout operator on one thread: the same masks, drawn and applied.</summary>
    [Benchmark]
    public void DropoutOperator() => _device.DropoutApply(_y, _x, _dropout, accumulate: false);

    /// <summary>Normal numbers of a seeded stream: initial values.</summary>
    [Benchmark]
    public float FillNormal()
    {
        new SeededRandom(1).FillNormal(_values, 0, 1);
        return _values[0];
    }
}
