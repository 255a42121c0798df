using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Dvp.Engine;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;

namespace Dvp.Benchmarks;

/// <summary>
/// Weights into the panels that the CPU's products read: once at load for what is frozen, after every update for what trains.
/// </summary>
public unsafe class PackingBenchmarks
{
    private CpuThreadPool _pool = null!;
    private PackedMatrix _packed = null!;
    private void* _weight;

    /// <summary>Rows of the matrix, (outputs, 768).</summary>
    [Params(768, 3072)]
    public int Outputs { get; set; }

    /// <summary>For y = x W^T, or for dx = dy W.</summary>
    [Params(false, true)]
    public bool Backward { get; set; }

    /// <summary>Type in memory and in the panels.</summary>
    [Params(ElementType.F32, ElementType.BF16)]
    public ElementType Type { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        const int inputs = 768;
        nuint bytes = (nuint)(Outputs * inputs * Type.Size());
        _weight = NativeMemory.AlignedAlloc(bytes, 64);
        SeededRandom random = new(1);
        for (nuint i = 0; i < bytes / sizeof(ushort); i++)
        {
            ((ushort*)_weight)[i] = (ushort)(0x3C00 + random.NextInt(256)); // small positive numbers in either type
        }

        _pool = new CpuThreadPool(1);
        _packed = new PackedMatrix(Backward ? PackedUse.BackwardInput : PackedUse.Forward, Outputs, inputs, Type);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _packed.Dispose();
        _pool.Dispose();
        NativeMemory.AlignedFree(_weight);
    }

    /// <summary>On one thread.</summary>
    [Benchmark]
    public void Pack() => _packed.Pack(_pool, _weight, Type, _packed.Inputs);
}
