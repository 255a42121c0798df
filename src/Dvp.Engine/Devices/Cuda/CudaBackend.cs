using System.Globalization;
using Dvp.Cuda;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// An NVIDIA GPU as a device: the kernels of <c>kernels/</c>, launched in one stream. Activations and frozen weights are f32, bf16 or
/// f16; every accumulation, trainable parameter, gradient of a parameter, moment and statistic is f32.
/// </summary>
/// <remarks>
/// Operators are queued and return at once; downloads wait for them. The first error that loses the device wins: every later call reports
/// it, with the kernel that was launched last, and no Dispose throws over it.
/// </remarks>
public sealed partial class CudaBackend : Backend
{
    private readonly ElementType _real;
    private readonly CudaContext _context;
    private readonly CudaStream _stream;
    private readonly CudaOptions _options;
    private readonly KernelLibrary _library;
    private readonly DeviceMemoryPool _pool;
    private bool _disposed;

    private CudaBackend(CudaContext context, CudaStream stream, ElementType real, CudaOptions options)
    {
        _context = context;
        _stream = stream;
        _real = real;
        _options = options;
        _library = new KernelLibrary(context, new LaunchQueue(this), options);
        _pool = context.CreatePool(stream);
    }

    /// <inheritdoc/>
    public override string Name => string.Create(
        CultureInfo.InvariantCulture, $"cuda:{_context.Info.Index} ({_context.Info.Name}, {_context.Info.Architecture}, {KernelCompiler.TypeName(_real)})");

    /// <inheritdoc/>
    public override ElementType ActivationType => _real;

    /// <summary>What the device is.</summary>
    public CudaDeviceInfo Device => _context.Info;

    /// <summary>The newest CUDA version that the driver supports.</summary>
    public CudaVersion DriverVersion => _context.Driver.Version;

    /// <summary>Where the kernels came from so far.</summary>
    public KernelOrigins Origins => _library.Origins;

    /// <summary>Entry points that were launched so far.</summary>
    internal IReadOnlySet<string> LaunchedEntries => _library.LaunchedEntries;

    /// <summary>Kernels that launchers asked for so far.</summary>
    internal IEnumerable<(KernelVariant Variant, CudaKernel Kernel)> UsedKernels => _library.UsedKernels;

    /// <summary>Multiprocessors of the device.</summary>
    internal int Multiprocessors => _context.Info.Multiprocessors;

    /// <summary>The stream that everything is queued in: for events around operators.</summary>
    internal CudaStream Stream => _stream;

    /// <summary>The open device.</summary>
    internal CudaContext Context => _context;

    /// <summary>Opens a device.</summary>
    /// <param name="index">Number of the GPU, from 0.</param>
    /// <param name="real">Element type of activations and frozen weights: F32, BF16 or F16.</param>
    /// <param name="options">Libraries, cache, behaviour.</param>
    /// <exception cref="DvpException">There is no driver, no such device, or it is too old (<see cref="DvpExitCode.NoDevice"/>).</exception>
    public static CudaBackend Open(int index, ElementType real, CudaOptions options)
    {
        KernelCompiler.TypeName(real);
        CudaContext? context = null;
        CudaStream? stream = null;
        try
        {
            context = CudaDriver.Open(options.Driver).OpenDevice(index, options.LaunchBlocking);
            if (context.Info.Major < 8)
            {
                throw new DvpException(
                    $"{context.Info.Name} has compute capability {context.Info.Major}.{context.Info.Minor}, and the kernels need 8.0 (Ampere) or newer: "
                    + "leave --device out, or give --device cpu.", exitCode: DvpExitCode.NoDevice);
            }

            stream = context.CreateStream();
            return new CudaBackend(context, stream, real, options);
        }
        catch (Exception e)
        {
            stream?.Dispose();
            context?.Dispose();
            if (e is CudaException failure)
            {
                throw CudaFailure.NotThere(failure, index);
            }

            throw;
        }
    }

    /// <summary>Loads variants before they are needed, compiling in parallel what must be compiled.</summary>
    internal void Warm(IEnumerable<KernelVariant> variants) => _library.Warm(variants);

    /// <summary>The entry point of a variant; loaded, or compiled, on first use. While work is being planned, one whose launches do nothing.</summary>
    /// <param name="entry">The entry point.</param>
    /// <param name="file">The .cu file, without extension.</param>
    /// <param name="real">Storage type.</param>
    /// <param name="options">Further definitions, as the catalog lists them.</param>
    internal CudaKernel Kernel(string entry, string file, ElementType real, string options = "")
    {
        KernelVariant variant = new(file, real, options);
        return _planned is null ? _library.Get(entry, variant) : _library.Plan(entry, variant, _planned);
    }

    /// <summary>Threads of a warp.</summary>
    internal const int WarpSize = 32;

    /// <summary>Blocks of a size that cover a count.</summary>
    internal static int DivideUp(int count, int size) => (count + size - 1) / size;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            DisposeTiming();
            DisposeOptimizer();
            DisposeRelativeBuckets();
            DisposeMemory();
            _library.Dispose();
            _pool.Dispose();
            _stream.Dispose();
            _context.Dispose();
        }

        base.Dispose(disposing);
    }

    // Launches while work is recorded count when the recording runs.
    private sealed class LaunchQueue(CudaBackend owner) : ILaunchQueue
    {
        public bool Launch(CudaKernel kernel, Extents grid, Extents block, int sharedBytes, ReadOnlySpan<KernelArgument> arguments)
        {
            if (owner.IsPlanning)
            {
                return false;
            }

            Span<LaunchArgument> values = stackalloc LaunchArgument[arguments.Length];
            for (int i = 0; i < arguments.Length; i++)
            {
                values[i] = new LaunchArgument(arguments[i].Bits);
            }

            try
            {
                owner._stream.Launch(kernel.Function, grid, block, sharedBytes, values);
            }
            catch (CudaException e)
            {
                throw CudaFailure.Wrap(e);
            }

            if (owner.IsCapturing)
            {
                owner._captured++;
            }
            else
            {
                owner.Counters.Launches++;
            }

            return true;
        }
    }
}
