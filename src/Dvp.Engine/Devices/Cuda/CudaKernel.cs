global using Extents = Dvp.Cuda.Extents;

using System.Globalization;
using Dvp.Cuda;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>Puts a launch into a stream.</summary>
internal interface ILaunchQueue
{
    /// <summary>Queues one launch of the kernel; the arguments agree with its declaration.</summary>
    /// <returns>false where work is only planned.</returns>
    bool Launch(CudaKernel kernel, Extents grid, Extents block, int sharedBytes, ReadOnlySpan<KernelArgument> arguments);
}

/// <summary>One entry point of a loaded module.</summary>
internal sealed class CudaKernel
{
    private const int MaxGridYZ = 65535;
    private readonly ILaunchQueue? _queue; // null where nothing is loaded
    private readonly CudaFunction? _function;

    internal CudaKernel(ILaunchQueue queue, KernelSignature signature, CudaFunction function, int maxSharedBytes)
        : this(signature)
    {
        _queue = queue;
        _function = function;
        MaxSharedBytes = maxSharedBytes;
    }

    private CudaKernel(KernelSignature signature) => Signature = signature;

    /// <summary>An entry point of a module that is not loaded yet: launches are checked against the declaration and do nothing.</summary>
    public static CudaKernel NotLoaded(KernelSignature signature) => new(signature);

    /// <summary>The declaration in the .cu file.</summary>
    public KernelSignature Signature { get; }

    /// <summary>The driver's function, with what it uses.</summary>
    /// <exception cref="InvalidOperationException">Nothing is loaded.</exception>
    public CudaFunction Function => _function ?? throw new InvalidOperationException($"{Signature.Name} is not loaded.");

    /// <summary>The most dynamic shared memory that a launch may ask for, in bytes.</summary>
    public int MaxSharedBytes { get; }

    /// <summary>Block and dynamic shared memory of the latest launch that was queued or recorded; no threads before the first.</summary>
    public KernelLaunchShape LatestLaunch { get; private set; }

    /// <summary>Queues a launch; a grid without blocks does nothing.</summary>
    /// <param name="grid">Blocks.</param>
    /// <param name="block">Threads of a block.</param>
    /// <param name="sharedBytes">Dynamic shared memory of a block, in bytes.</param>
    /// <param name="arguments">In the order of the declaration.</param>
    /// <exception cref="ArgumentException">The arguments are not those that the kernel declares, or the launch does not fit the device.</exception>
    public void Launch(Extents grid, Extents block, int sharedBytes, params ReadOnlySpan<KernelArgument> arguments)
    {
        Signature.Check(arguments);
        if (grid.X <= 0 || grid.Y <= 0 || grid.Z <= 0 || _queue is null)
        {
            return;
        }

        if (block.Count > Function.MaxThreads || block.Count < 1 || sharedBytes > MaxSharedBytes || grid.Y > MaxGridYZ || grid.Z > MaxGridYZ)
        {
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture,
                $"{Signature.Name} was launched with a grid of {grid}, blocks of {block.Count} threads and {sharedBytes} bytes of shared memory; "
                + $"it takes blocks of {Function.MaxThreads} threads and {MaxSharedBytes} bytes, and {MaxGridYZ} blocks along y and z."));
        }

        if (_queue.Launch(this, grid, block, sharedBytes, arguments))
        {
            LatestLaunch = new KernelLaunchShape((int)block.Count, sharedBytes);
        }
    }
}
