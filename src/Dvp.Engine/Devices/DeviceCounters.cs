using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices;

/// <summary>What a device has done since it was opened. Tests and <c>--json</c> results read it.</summary>
public sealed class DeviceCounters
{
    /// <summary>Copies from the host to the device.</summary>
    public long Uploads { get; set; }

    /// <summary>Copies from the device to the host.</summary>
    public long Downloads { get; set; }

    /// <summary>Bytes moved in either direction.</summary>
    public long BytesCopied { get; set; }

    /// <summary>Operators run: kernel launches on a GPU.</summary>
    public long Launches { get; set; }

    /// <summary>Recorded pieces of work that were launched as one graph; their kernels are among <see cref="Launches"/>.</summary>
    public long GraphLaunches { get; set; }

    /// <summary>Bytes of device memory allocated now.</summary>
    public long BytesAllocated { get; set; }

    /// <summary>The most bytes of device memory allocated at any time.</summary>
    public long PeakBytesAllocated { get; set; }

    /// <summary>Notes a copy of a whole tensor to the device.</summary>
    public void Uploaded(Tensor tensor)
    {
        Uploads++;
        BytesCopied += tensor.Count * tensor.Type.Size();
    }

    /// <summary>Notes a copy of a whole tensor to the host.</summary>
    public void Downloaded(Tensor tensor)
    {
        Downloads++;
        BytesCopied += tensor.Count * tensor.Type.Size();
    }

    /// <summary>Notes an allocation, or with a negative number its end.</summary>
    public void Allocated(long bytes)
    {
        BytesAllocated += bytes;
        PeakBytesAllocated = Math.Max(PeakBytesAllocated, BytesAllocated);
    }
}
