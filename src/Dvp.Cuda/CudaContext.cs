using System.Runtime.CompilerServices;
using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>
/// An open device. Makes streams, events, modules and memory, and keeps the first error after which the device is lost: whatever is called
/// later reports that one, and no Dispose throws over it.
/// </summary>
/// <remarks>
/// Objects may be used from any thread, one thread at a time. They may be disposed in any order: the device is given back when the
/// context and all that was made in it are gone.
/// </remarks>
public sealed unsafe class CudaContext : IDisposable
{
    private readonly ContextHandle _handle;

    internal CudaContext(CudaDriver driver, int device, CudaDeviceInfo info, bool launchBlocking)
    {
        Driver = driver;
        Device = device;
        Info = info;
        LaunchBlocking = launchBlocking;
        _handle = new ContextHandle(driver.Api, device) { NoteLate = NoteLate };
    }

    /// <summary>The driver.</summary>
    public CudaDriver Driver { get; }

    /// <summary>The device.</summary>
    public CudaDeviceInfo Info { get; }

    /// <summary>Whether every launch is waited for, so that an error names its kernel.</summary>
    public bool LaunchBlocking { get; }

    /// <summary>The error that the device was lost with; null while it works.</summary>
    public CudaException? FirstError { get; private set; }

    /// <summary>Name of the kernel launched last; null before the first.</summary>
    public string? LastLaunch { get; internal set; }

    /// <summary>Free and total memory of the device now, in bytes.</summary>
    public (long Free, long Total) Memory
    {
        get
        {
            MakeCurrent();
            nuint free, total;
            ThrowIfFailed(Api.cuMemGetInfo_v2(&free, &total));
            return ((long)free, (long)total);
        }
    }

    internal DriverApi Api => Driver.Api;

    /// <summary>The driver's number of the device.</summary>
    internal int Device { get; }

    /// <summary>Makes a stream whose work does not wait for that of other streams.</summary>
    public CudaStream CreateStream()
    {
        const uint NonBlocking = 1;
        MakeCurrent();
        nint stream;
        ThrowIfFailed(Api.cuStreamCreate(&stream, NonBlocking));
        return new CudaStream(this, Own(stream, Api.cuStreamDestroy_v2, nameof(DriverApi.cuStreamDestroy_v2)));
    }

    /// <summary>Makes an event.</summary>
    /// <param name="timing">Whether it measures time; one that only orders work is cheaper.</param>
    public CudaEvent CreateEvent(bool timing = true)
    {
        const uint DisableTiming = 2;
        MakeCurrent();
        nint made;
        ThrowIfFailed(Api.cuEventCreate(&made, timing ? 0 : DisableTiming));
        return new CudaEvent(this, Own(made, Api.cuEventDestroy_v2, nameof(DriverApi.cuEventDestroy_v2)));
    }

    /// <summary>Allocates memory of the device; its contents are whatever was there.</summary>
    /// <param name="bytes">Size, at least 1.</param>
    public DeviceMemory Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        MakeCurrent();
        nint address;
        ThrowIfFailed(Api.cuMemAlloc_v2(&address, (nuint)bytes));
        return new DeviceMemory(Own(address, Api.cuMemFree_v2, nameof(DriverApi.cuMemFree_v2)), bytes);
    }

    /// <summary>Makes a source of memory for the work of one stream.</summary>
    /// <param name="stream">The stream.</param>
    public DeviceMemoryPool CreatePool(CudaStream stream) => new(this, stream);

    /// <summary>Allocates memory of the host that the device copies from and to by itself.</summary>
    /// <param name="bytes">Size, at least 1.</param>
    public PinnedMemory AllocatePinned(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        MakeCurrent();
        nint address;
        ThrowIfFailed(Api.cuMemHostAlloc(&address, (nuint)bytes, 0));
        return new PinnedMemory(Own(address, Api.cuMemFreeHost, nameof(DriverApi.cuMemFreeHost)), bytes);
    }

    /// <summary>Loads machine code (CUBIN) or PTX.</summary>
    /// <param name="image">The code.</param>
    /// <exception cref="CudaException">The code is damaged or for another device; for PTX, the message has the compiler's log.</exception>
    public CudaModule LoadModule(ReadOnlySpan<byte> image) => CudaModule.Load(this, image);

    /// <summary>Gives the device back once all that was made in it is disposed; a second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();

    /// <summary>Throws where a call failed; the first error that loses the device wins.</summary>
    /// <param name="result">What the call returned.</param>
    /// <param name="kernel">The kernel that the call launches, or null.</param>
    /// <param name="call">Its source text, which names it.</param>
    internal void ThrowIfFailed(int result, string? kernel = null, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != 0)
        {
            throw Failure(result, kernel, call);
        }
    }

    /// <summary>Makes the context current on the calling thread.</summary>
    internal void MakeCurrent()
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        ThrowIfFailed(_handle.MakeCurrent(), kernel: null, nameof(DriverApi.cuCtxSetCurrent));
    }

    internal DriverHandle Own(nint value, delegate* unmanaged<nint, int> release, string call) => new(_handle, value, release, call);

    internal PooledHandle OwnPooled(nint address, CudaStream stream) => new(_handle, address, Api, stream.Handle);

    private CudaException Failure(int result, string? kernel, string call)
    {
        if (FirstError is { } first)
        {
            return CudaException.Again(first);
        }

        CudaException failure = Api.Failure(result, call, kernel, LastLaunch);
        if (CudaErrors.IsSticky(result))
        {
            FirstError = failure;
        }

        return failure;
    }

    private void NoteLate(int result, string call)
    {
        if (FirstError is null && CudaErrors.IsSticky(result))
        {
            FirstError = Api.Failure(result, call, kernel: null, LastLaunch);
        }
    }
}
