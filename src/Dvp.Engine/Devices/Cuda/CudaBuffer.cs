using Dvp.Cuda;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>Memory of a CUDA device. What nobody disposes is freed when it is collected.</summary>
internal sealed class CudaBuffer : DeviceBuffer
{
    private readonly DeviceMemory _memory;
    private readonly DeviceCounters _counters;

    internal CudaBuffer(DeviceMemory memory, long bytes, DeviceCounters counters)
        : base(memory.Address, bytes)
    {
        _memory = memory;
        _counters = counters;
        counters.Allocated(bytes);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && Address != 0)
        {
            Address = 0;
            _counters.Allocated(-Bytes);
            _memory.Dispose();
        }
    }
}
