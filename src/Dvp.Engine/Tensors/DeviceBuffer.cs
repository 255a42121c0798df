namespace Dvp.Engine.Tensors;

/// <summary>A block of device memory that a <see cref="Devices.Backend"/> allocated. Its address never changes.</summary>
public abstract class DeviceBuffer : IDisposable
{
    /// <summary>Records a block.</summary>
    /// <param name="address">Device address of the first byte.</param>
    /// <param name="bytes">Size in bytes.</param>
    protected DeviceBuffer(nint address, long bytes)
    {
        Address = address;
        Bytes = bytes;
    }

    /// <summary>Device address of the first byte; only the device's own code may follow it.</summary>
    public nint Address { get; protected set; }

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the memory; a second call does nothing.</summary>
    protected abstract void Dispose(bool disposing);
}
