using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>Host memory that plays the part of device memory: aligned to cache lines, zeroed, outside the managed heap.</summary>
internal sealed unsafe class CpuBuffer : DeviceBuffer
{
    private const nuint Alignment = 64;
    private readonly DeviceCounters _counters;

    internal CpuBuffer(long bytes, DeviceCounters counters)
        : base(Reserve(bytes), bytes)
    {
        _counters = counters;
        counters.Allocated(bytes);
    }

    /// <summary>Frees a buffer that nobody disposed.</summary>
    ~CpuBuffer()
    {
        Free();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (Address != 0)
        {
            Free();
            _counters.Allocated(-Bytes);
        }
    }

    private static nint Reserve(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        nuint size = (nuint)Math.Max(bytes, 1);
        void* memory = NativeMemory.AlignedAlloc(size, Alignment);
        NativeMemory.Clear(memory, size);
        return (nint)memory;
    }

    private void Free()
    {
        NativeMemory.AlignedFree((void*)Address);
        Address = 0;
    }
}
