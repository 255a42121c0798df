using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>
/// Memory of the device. Freeing what a context allocated waits for all work; what a <see cref="DeviceMemoryPool"/> gave goes back behind the
/// work that its stream has by then, and nobody waits.
/// </summary>
public sealed class DeviceMemory : IDisposable
{
    private readonly DriverHandle _handle;
    private readonly CudaStream? _stream; // of a pool

    internal DeviceMemory(DriverHandle handle, long bytes, CudaStream? stream = null) => (_handle, Bytes, _stream) = (handle, bytes, stream);

    /// <summary>Address on the device.</summary>
    public nint Address => _handle.Value;

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>Frees the memory; a second call does nothing. Memory that nobody disposes is freed by its finaliser.</summary>
    public void Dispose()
    {
        if (_handle is PooledHandle { IsClosed: false } pooled)
        {
            pooled.InOrder = !_stream!.IsCapturing; // a recording would take it for a part of itself
        }

        _handle.Dispose();
    }
}

/// <summary>Memory of the host that stays where it is, so that the device copies from and to it by itself.</summary>
public sealed class PinnedMemory : IDisposable
{
    private readonly DriverHandle _handle;

    internal PinnedMemory(DriverHandle handle, long bytes) => (_handle, Bytes) = (handle, bytes);

    /// <summary>Address on the host.</summary>
    public nint Address => _handle.Value;

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>Some of the memory.</summary>
    /// <param name="offset">Where it starts, in bytes.</param>
    /// <param name="count">Number of bytes.</param>
    public unsafe Span<byte> Span(long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + count, Bytes);
        return new Span<byte>((byte*)_handle.Value + offset, count);
    }

    /// <summary>Frees the memory; a second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();
}
