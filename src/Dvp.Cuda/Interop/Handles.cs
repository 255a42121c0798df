using System.Runtime.InteropServices;

namespace Dvp.Cuda.Interop;

/// <summary>
/// The primary context of a device. Every object made in it holds a reference, so that it is released after the last of them whatever
/// the order in which they are disposed or finalised.
/// </summary>
internal sealed unsafe class ContextHandle : SafeHandle
{
    // The context that is current on this thread, to save the call that sets it again.
    [ThreadStatic]
    private static ContextHandle? s_current;

    private readonly DriverApi _api;
    private readonly int _device;

    internal ContextHandle(DriverApi api, int device)
        : base(0, ownsHandle: true)
    {
        _api = api;
        _device = device;
        nint context;
        api.ThrowIfFailed(api.cuDevicePrimaryCtxRetain(&context, device));
        SetHandle(context);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <summary>Errors that a Dispose ran into: it may not throw, so the next call does.</summary>
    internal Action<int, string>? NoteLate { get; set; }

    /// <summary>Makes the context current on this thread.</summary>
    internal int MakeCurrent()
    {
        if (ReferenceEquals(s_current, this))
        {
            return 0;
        }

        int result = _api.cuCtxSetCurrent(handle);
        s_current = result == 0 ? this : null;
        return result;
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        s_current = null;
        return _api.cuDevicePrimaryCtxRelease_v2(_device) == 0;
    }
}

/// <summary>A stream, event, graph, module or block of memory that the driver made in a context.</summary>
internal unsafe class DriverHandle : SafeHandle
{
    private readonly ContextHandle _context;
    private readonly delegate* unmanaged<nint, int> _release;
    private readonly string _call;

    /// <summary>Takes over what a call has made.</summary>
    /// <param name="context">The context it was made in.</param>
    /// <param name="value">The driver's handle or address.</param>
    /// <param name="release">The function that ends it.</param>
    /// <param name="call">That function's name.</param>
    internal DriverHandle(ContextHandle context, nint value, delegate* unmanaged<nint, int> release, string call)
        : base(0, ownsHandle: true)
    {
        _context = context;
        _release = release;
        _call = call;
        bool held = false;
        context.DangerousAddRef(ref held);
        SetHandle(value);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <summary>The driver's handle or address; only for calls that end before this object may be disposed.</summary>
    internal nint Value => IsClosed ? throw new ObjectDisposedException(_call) : handle;

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        int result = _context.MakeCurrent();
        result = result == 0 ? Release(handle) : result;
        if (result != 0)
        {
            _context.NoteLate?.Invoke(result, _call);
        }

        _context.DangerousRelease();
        return result == 0;
    }

    /// <summary>Ends what the handle stands for, with the context current.</summary>
    private protected virtual int Release(nint value) => _release(value);
}

/// <summary>Memory that was taken from a pool in a stream's order.</summary>
internal sealed unsafe class PooledHandle : DriverHandle
{
    private readonly DriverApi _api;
    private readonly DriverHandle _stream;

    /// <summary>Takes over memory.</summary>
    /// <param name="context">The context it was made in.</param>
    /// <param name="value">Its address.</param>
    /// <param name="api">The driver.</param>
    /// <param name="stream">The stream, which ends after all memory that was taken in its order.</param>
    internal PooledHandle(ContextHandle context, nint value, DriverApi api, DriverHandle stream)
        : base(context, value, api.cuMemFree_v2, nameof(DriverApi.cuMemFree_v2))
    {
        (_api, _stream) = (api, stream);
        bool held = false;
        stream.DangerousAddRef(ref held);
    }

    /// <summary>
    /// Whether the memory is given back behind the work that the stream has now. Otherwise, as when a finaliser gives it back on a thread of
    /// its own, all work is waited for.
    /// </summary>
    internal bool InOrder { get; set; }

    /// <inheritdoc/>
    private protected override int Release(nint value)
    {
        int result = InOrder ? _api.cuMemFreeAsync(value, _stream.DangerousGetHandle()) : base.Release(value);
        _stream.DangerousRelease();
        return result;
    }
}
