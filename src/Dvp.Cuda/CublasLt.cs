using System.Globalization;
using System.Runtime.CompilerServices;
using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>Types of the operands of a cuBLASLt product; sums are f32.</summary>
public enum CublasLtType
{
    /// <summary>binary32, in full precision (no TF32).</summary>
    F32 = 0,

    /// <summary>binary16.</summary>
    F16 = 2,

    /// <summary>bfloat16.</summary>
    BF16 = 14,
}

/// <summary>NVIDIA's own matrix product, bound to be measured against: nothing here needs it.</summary>
public sealed unsafe class CublasLt : IDisposable
{
    private readonly CudaContext _context;
    private nint _handle;

    private CublasLt(CudaContext context, CublasLtApi api, string file)
    {
        _context = context;
        Api = api;
        File = file;
        context.MakeCurrent();
        nint handle;
        ThrowIfFailed(api.cublasLtCreate(&handle));
        _handle = handle;
    }

    /// <summary>The file, or the name by which the loader found it.</summary>
    public string File { get; }

    /// <summary>The library's version as it gives it: 120803.</summary>
    public long Version => (long)Api.cublasLtGetVersion();

    internal CublasLtApi Api { get; }

    internal nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(nameof(CublasLt));

    /// <summary>Loads the library of a version that fits the driver.</summary>
    /// <param name="context">The device that it is to run on.</param>
    /// <param name="path">A file, or a folder that holds it; null for the usual places.</param>
    /// <exception cref="CudaException">It is not there.</exception>
    public static CublasLt Open(CudaContext context, string? path = null)
    {
        List<string> names = [];
        for (int major = context.Driver.Version.Major; major >= 11; major--)
        {
            string number = major.ToString(CultureInfo.InvariantCulture);
            names.Add(OperatingSystem.IsWindows() ? $"cublasLt64_{number}.dll" : $"libcublasLt.so.{number}");
        }

        List<string> tried = [];
        string? file = LibraryFiles.Load(LibraryFiles.Candidates(path, names, []), tried, out nint library);
        return file is null
            ? throw CudaException.Missing("cuBLASLt", $"cuBLASLt cannot be loaded ({string.Join("; ", tried)}).", "Install cuBLAS of the CUDA toolkit.")
            : new CublasLt(context, new CublasLtApi(new NativeFunctions(library, file, "Install cuBLAS of the CUDA toolkit.")), file);
    }

    /// <summary>Plans y (M, N) = x (M, K) W (N, K)^T with the library's best algorithm for it.</summary>
    /// <param name="type">Type of all three, row after row without gaps.</param>
    /// <param name="m">Rows of x and y.</param>
    /// <param name="n">Outputs.</param>
    /// <param name="k">Inputs.</param>
    /// <param name="workspaceBytes">The most working memory that the algorithm may take.</param>
    /// <exception cref="CudaException">The library has no algorithm for it.</exception>
    public CublasLtProduct Plan(CublasLtType type, int m, int n, int k, long workspaceBytes = 32L << 20) =>
        new(this, _context, type, m, n, k, workspaceBytes);

    /// <summary>Ends the library's handle; a second call does nothing.</summary>
    public void Dispose()
    {
        if (_handle != 0)
        {
            _ = Api.cublasLtDestroy(_handle);
            _handle = 0;
        }
    }

    internal static void ThrowIfFailed(int result, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != 0)
        {
            string name = result switch
            {
                1 => "CUBLAS_STATUS_NOT_INITIALIZED",
                3 => "CUBLAS_STATUS_ALLOC_FAILED",
                7 => "CUBLAS_STATUS_INVALID_VALUE",
                8 => "CUBLAS_STATUS_ARCH_MISMATCH",
                13 => "CUBLAS_STATUS_EXECUTION_FAILED",
                14 => "CUBLAS_STATUS_INTERNAL_ERROR",
                15 => "CUBLAS_STATUS_NOT_SUPPORTED",
                _ => "a status that has no name here",
            };
            string advice = result == 1 ? " The library cannot use the device, or not with this driver: see nvidia-smi." : "";
            throw CudaException.Of(call, result, name, "", kernel: null, lastLaunch: null, advice);
        }
    }
}
