namespace Dvp.Cuda;

/// <summary>
/// Memory for the work of one stream, from the pool that the driver keeps of a device's memory. Taking and giving back are work of the stream:
/// neither waits for the device, and what one piece of work gave back the next may get. A block keeps its address until it is disposed, so
/// recorded work may use it.
/// </summary>
/// <remarks>
/// The driver's pool belongs to the process. While this object lives it keeps what is given back, and <see cref="Dispose"/> returns that to the
/// system. On devices without a pool (<see cref="CudaDeviceInfo.HasMemoryPool"/>) every block is allocated on its own, and freeing one waits
/// for all work.
/// </remarks>
public sealed unsafe class DeviceMemoryPool : IDisposable
{
    private const int ReleaseThreshold = 4; // of CUmemPool_attribute
    private const int ReservedNow = 5;
    private const int UsedNow = 7;
    private readonly CudaContext _context;
    private readonly CudaStream _stream;
    private readonly nint _pool;
    private bool _disposed;

    internal DeviceMemoryPool(CudaContext context, CudaStream stream)
    {
        (_context, _stream) = (context, stream);
        if (context.Info.HasMemoryPool)
        {
            context.MakeCurrent();
            nint pool;
            context.ThrowIfFailed(context.Api.cuDeviceGetDefaultMemPool(&pool, context.Device));
            _pool = pool;
            KeepUpTo(ulong.MaxValue);
        }
    }

    /// <summary>Bytes that the process has of the device's pool, given out or kept; 0 on a device without a pool.</summary>
    public long ReservedBytes => Count(ReservedNow);

    /// <summary>Bytes of them that are given out; 0 on a device without a pool.</summary>
    public long UsedBytes => Count(UsedNow);

    /// <summary>Takes memory; its contents are whatever was there.</summary>
    /// <param name="bytes">Size, at least 1.</param>
    /// <exception cref="CudaException">The memory of the device is full.</exception>
    public DeviceMemory Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_pool == 0)
        {
            return _context.Allocate(bytes);
        }

        _context.MakeCurrent();
        nint address;
        _context.ThrowIfFailed(_context.Api.cuMemAllocFromPoolAsync(&address, (nuint)bytes, _pool, _stream.Value));
        return new DeviceMemory(_context.OwnPooled(address, _stream), bytes, _stream);
    }

    /// <summary>Returns to the system what was given back, once the stream's work is done.</summary>
    /// <param name="keep">Bytes that stay.</param>
    public void Trim(long keep = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keep);
        if (_pool != 0)
        {
            _stream.Synchronize();
            _context.ThrowIfFailed(_context.Api.cuMemPoolTrimTo(_pool, (nuint)keep));
        }
    }

    /// <summary>
    /// Returns to the system what was given back, and what is given back later with the next wait for the device. A second call does nothing,
    /// and a lost device is no error here.
    /// </summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        try
        {
            if (_pool != 0)
            {
                KeepUpTo(0);
                Trim();
            }
        }
        catch (Exception e) when (e is CudaException or ObjectDisposedException)
        {
            // The device is lost, which was said when it came up, or was closed before: its memory goes with it.
        }
    }

    private void KeepUpTo(ulong bytes)
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_context.Api.cuMemPoolSetAttribute(_pool, ReleaseThreshold, &bytes));
    }

    private long Count(int attribute)
    {
        if (_pool == 0)
        {
            return 0;
        }

        _context.MakeCurrent();
        ulong bytes;
        _context.ThrowIfFailed(_context.Api.cuMemPoolGetAttribute(_pool, attribute, &bytes));
        return (long)bytes;
    }
}
