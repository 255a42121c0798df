using System.Globalization;
using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>A queue of work on the device: copies and launches run in the order in which they were queued.</summary>
public sealed unsafe class CudaStream : IDisposable
{
    private readonly CudaContext _context;
    private readonly DriverHandle _handle;
    private readonly DriverApi _api;

    internal CudaStream(CudaContext context, DriverHandle handle) => (_context, _handle, _api) = (context, handle, context.Api);

    /// <summary>Whether work is being recorded in place of being run.</summary>
    public bool IsCapturing { get; private set; }

    internal nint Value => _handle.Value;

    internal DriverHandle Handle => _handle;

    /// <summary>Queues a copy to the device. The host's memory must stay as it is until the copy has run.</summary>
    /// <param name="destination">Address on the device.</param>
    /// <param name="source">Address on the host.</param>
    /// <param name="bytes">Number of bytes.</param>
    public void CopyToDevice(nint destination, nint source, long bytes)
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuMemcpyHtoDAsync_v2(destination, source, (nuint)bytes, _handle.Value));
    }

    /// <summary>Queues a copy to the host; the values are there after <see cref="Synchronize"/>.</summary>
    /// <param name="destination">Address on the host.</param>
    /// <param name="source">Address on the device.</param>
    /// <param name="bytes">Number of bytes.</param>
    public void CopyToHost(nint destination, nint source, long bytes)
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuMemcpyDtoHAsync_v2(destination, source, (nuint)bytes, _handle.Value));
    }

    /// <summary>Queues a copy on the device.</summary>
    /// <param name="destination">Address on the device.</param>
    /// <param name="source">Address on the device.</param>
    /// <param name="bytes">Number of bytes.</param>
    public void CopyOnDevice(nint destination, nint source, long bytes)
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuMemcpyDtoDAsync_v2(destination, source, (nuint)bytes, _handle.Value));
    }

    /// <summary>Queues a copy of rows that lie a pitch apart on the device to gapless rows on the host.</summary>
    /// <param name="destination">Address on the host.</param>
    /// <param name="source">Address on the device.</param>
    /// <param name="width">Bytes of a row.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="pitch">Bytes from one row on the device to the next.</param>
    public void CopyRowsToHost(nint destination, nint source, long width, long rows, long pitch)
    {
        MemoryCopy2D copy = new()
        {
            SourceKind = MemoryCopy2D.Device,
            SourceDevice = source,
            SourcePitch = (nuint)pitch,
            DestinationKind = MemoryCopy2D.Host,
            DestinationHost = destination,
            DestinationPitch = (nuint)width,
            WidthInBytes = (nuint)width,
            Height = (nuint)rows,
        };
        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuMemcpy2DAsync_v2(&copy, _handle.Value));
    }

    /// <summary>Copies values to the device and waits until they are there.</summary>
    /// <typeparam name="T">Type of the values.</typeparam>
    /// <param name="destination">Memory of at least their size.</param>
    /// <param name="source">The values.</param>
    public void Upload<T>(DeviceMemory destination, ReadOnlySpan<T> source)
        where T : unmanaged
    {
        long bytes = (long)source.Length * sizeof(T);
        RequireFit(destination, bytes);
        fixed (T* from = source)
        {
            CopyToDevice(destination.Address, (nint)from, bytes);
            Synchronize();
        }
    }

    /// <summary>Copies values to the host, after all work queued before.</summary>
    /// <typeparam name="T">Type of the values.</typeparam>
    /// <param name="destination">Gets the values.</param>
    /// <param name="source">Memory of at least their size.</param>
    public void Download<T>(Span<T> destination, DeviceMemory source)
        where T : unmanaged
    {
        long bytes = (long)destination.Length * sizeof(T);
        RequireFit(source, bytes);
        fixed (T* to = destination)
        {
            CopyToHost((nint)to, source.Address, bytes);
            Synchronize();
        }
    }

    /// <summary>Queues setting every byte.</summary>
    /// <param name="address">Address on the device.</param>
    /// <param name="value">The byte.</param>
    /// <param name="bytes">Number of bytes.</param>
    public void Fill(nint address, byte value, long bytes)
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuMemsetD8Async(address, value, (nuint)bytes, _handle.Value));
    }

    /// <summary>Queues a launch.</summary>
    /// <param name="function">The kernel.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="block">Threads of a block.</param>
    /// <param name="sharedBytes">Dynamic shared memory of a block.</param>
    /// <param name="arguments">As the kernel declares them.</param>
    /// <exception cref="ArgumentException">The function has another number of parameters (known with drivers from CUDA 12.4 on).</exception>
    /// <exception cref="CudaException">The launch was refused, or, with blocking launches, the kernel failed.</exception>
    public void Launch(CudaFunction function, Extents grid, Extents block, int sharedBytes, params ReadOnlySpan<LaunchArgument> arguments)
    {
        function.RequireArguments(arguments.Length);
        _context.MakeCurrent();
        void** addresses = stackalloc void*[arguments.Length + 1];
        fixed (LaunchArgument* first = arguments)
        {
            for (int i = 0; i < arguments.Length; i++)
            {
                addresses[i] = first + i;
            }

            _context.ThrowIfFailed(
                _api.cuLaunchKernel(
                    function.Handle, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)block.X, (uint)block.Y, (uint)block.Z,
                    (uint)sharedBytes, _handle.Value, addresses, null),
                function.Name);
        }

        _context.LastLaunch = function.Name;
        if (_context.LaunchBlocking && !IsCapturing)
        {
            _context.ThrowIfFailed(_api.cuStreamSynchronize(_handle.Value), function.Name);
        }
    }

    /// <summary>Queues a mark.</summary>
    public void Record(CudaEvent mark)
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuEventRecord(mark.Value, _handle.Value));
    }

    /// <summary>Lets later work of this stream wait for a mark of another.</summary>
    public void WaitFor(CudaEvent mark)
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuStreamWaitEvent(_handle.Value, mark.Value, 0));
    }

    /// <summary>Waits for all queued work.</summary>
    public void Synchronize()
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuStreamSynchronize(_handle.Value));
    }

    /// <summary>Records what an action queues in this stream, in place of running it.</summary>
    /// <param name="work">Queues the work; it may not allocate, wait or copy from pageable memory.</param>
    /// <returns>The work as one graph.</returns>
    /// <exception cref="CudaException">Something was queued that cannot be recorded.</exception>
    /// <remarks>An error of the action ends the recording and is thrown on.</remarks>
    public CudaGraph Capture(Action work)
    {
        const int ThreadLocal = 1;
        if (IsCapturing)
        {
            throw new InvalidOperationException("The stream is recording already.");
        }

        _context.MakeCurrent();
        _context.ThrowIfFailed(_api.cuStreamBeginCapture_v2(_handle.Value, ThreadLocal));
        IsCapturing = true;
        bool whole = false;
        nint recorded = 0;
        int result;
        try
        {
            work();
            whole = true;
        }
        finally
        {
            IsCapturing = false;
            result = _api.cuStreamEndCapture(_handle.Value, &recorded);
            if (!whole && recorded != 0)
            {
                _ = _api.cuGraphDestroy(recorded);
            }
        }

        _context.ThrowIfFailed(result, kernel: null, nameof(DriverApi.cuStreamEndCapture));
        return CudaGraph.Instantiate(_context, recorded);
    }

    /// <summary>Ends the stream once its work is done; a second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();

    private static void RequireFit(DeviceMemory memory, long bytes)
    {
        if (bytes > memory.Bytes)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes do not fit device memory of {memory.Bytes}."), nameof(memory));
        }
    }
}
