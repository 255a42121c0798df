namespace Dvp.Engine.Devices.Cuda;

/// <summary>Extents of a grid or of a block. One or two numbers convert to it.</summary>
/// <param name="X">Along x.</param>
/// <param name="Y">Along y.</param>
/// <param name="Z">Along z.</param>
internal readonly record struct Extents(int X, int Y = 1, int Z = 1)
{
    /// <summary>Along x only.</summary>
    public static implicit operator Extents(int x) => new(x);

    /// <summary>Along x and y.</summary>
    public static implicit operator Extents((int X, int Y) extents) => new(extents.X, extents.Y);

    /// <summary>Along x, y and z.</summary>
    public static implicit operator Extents((int X, int Y, int Z) extents) => new(extents.X, extents.Y, extents.Z);
}

/// <summary>Puts a launch into a stream.</summary>
internal interface ILaunchQueue
{
    /// <summary>Queues one launch of the kernel; the arguments agree with its declaration.</summary>
    void Launch(CudaKernel kernel, Extents grid, Extents block, int sharedBytes, ReadOnlySpan<KernelArgument> arguments);
}

/// <summary>One entry point of a loaded module.</summary>
internal sealed class CudaKernel
{
    private readonly ILaunchQueue _queue;

    internal CudaKernel(ILaunchQueue queue, KernelSignature signature, nint function)
    {
        _queue = queue;
        Signature = signature;
        Function = function;
    }

    /// <summary>The declaration in the .cu file.</summary>
    public KernelSignature Signature { get; }

    /// <summary>The driver's handle.</summary>
    public nint Function { get; }

    /// <summary>Queues a launch; a grid without blocks does nothing.</summary>
    /// <param name="grid">Blocks.</param>
    /// <param name="block">Threads of a block.</param>
    /// <param name="sharedBytes">Dynamic shared memory of a block, in bytes.</param>
    /// <param name="arguments">In the order of the declaration.</param>
    /// <exception cref="ArgumentException">The arguments are not those that the kernel declares.</exception>
    public void Launch(Extents grid, Extents block, int sharedBytes, params ReadOnlySpan<KernelArgument> arguments)
    {
        Signature.Check(arguments);
        if (grid.X > 0 && grid.Y > 0 && grid.Z > 0)
        {
            _queue.Launch(this, grid, block, sharedBytes, arguments);
        }
    }
}
