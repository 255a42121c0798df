using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>Host memory that plays the part of device memory: aligned to cache lines, zeroed, outside the managed heap.</summary>
internal sealed unsafe class CpuBuffer : DeviceBuffer
{
    private readonly DeviceCounters _counters;

    internal CpuBuffer(long bytes, DeviceCounters counters)
        : base((nint)HostMemory.Allocate(bytes), bytes)
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

    private void Free()
    {
        HostMemory.Free((void*)Address, Bytes);
        Address = 0;
    }
}
