using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>A mark in a stream: to wait for, and to measure the time between two of them.</summary>
public sealed unsafe class CudaEvent : IDisposable
{
    private readonly CudaContext _context;
    private readonly DriverHandle _handle;

    internal CudaEvent(CudaContext context, DriverHandle handle) => (_context, _handle) = (context, handle);

    internal nint Value => _handle.Value;

    /// <summary>Waits until the work in front of the mark is done; an event that was never recorded is.</summary>
    public void Synchronize()
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_context.Api.cuEventSynchronize(_handle.Value));
    }

    /// <summary>Milliseconds from an earlier mark to this one; both must be reached.</summary>
    public float MillisecondsSince(CudaEvent start)
    {
        _context.MakeCurrent();
        float milliseconds;
        _context.ThrowIfFailed(_context.Api.cuEventElapsedTime(&milliseconds, start.Value, _handle.Value));
        return milliseconds;
    }

    /// <summary>Ends the event; a second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();
}
