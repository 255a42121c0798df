using System.Runtime.InteropServices;
using System.Text;
using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>Loaded machine code and the kernels in it. Disposing it takes the kernels with it.</summary>
public sealed unsafe class CudaModule : IDisposable
{
    private readonly CudaContext _context;
    private readonly DriverHandle _handle;

    private CudaModule(CudaContext context, DriverHandle handle) => (_context, _handle) = (context, handle);

    /// <summary>The kernel of a name.</summary>
    /// <param name="name">As the code exports it (<c>extern "C"</c>).</param>
    /// <exception cref="CudaException">The code has no such kernel.</exception>
    public CudaFunction Function(string name)
    {
        _context.MakeCurrent();
        nint function;
        fixed (byte* text = Encoding.UTF8.GetBytes(name + '\0'))
        {
            _context.ThrowIfFailed(_context.Api.cuModuleGetFunction(&function, _handle.Value, text), name);
        }

        return new CudaFunction(_context, name, function);
    }

    /// <summary>Unloads the code; a second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();

    internal static CudaModule Load(CudaContext context, ReadOnlySpan<byte> image)
    {
        const int LogBytes = 4096;
        int* options = stackalloc int[2] { 5, 6 }; // CU_JIT_ERROR_LOG_BUFFER and its size
        byte* log = stackalloc byte[LogBytes];
        log[0] = 0;
        void** values = stackalloc void*[2];
        values[0] = log;
        values[1] = (void*)LogBytes;

        // The driver reads PTX up to a zero byte; machine code carries its own length.
        byte[] terminated = new byte[image.Length + 1];
        image.CopyTo(terminated);
        DriverApi api = context.Api;
        context.MakeCurrent();
        nint module;
        int result;
        fixed (byte* bytes = terminated)
        {
            result = api.cuModuleLoadDataEx(&module, bytes, 2, options, values);
        }

        if (result != 0 && log[0] != 0)
        {
            CudaException plain = api.Failure(result, nameof(DriverApi.cuModuleLoadDataEx), kernel: null, lastLaunch: null);
            string text = Marshal.PtrToStringUTF8((nint)log) ?? "";
            throw new CudaException(plain.Call, plain.Code, plain.ErrorName, $"{plain.Message} The compiler says: {text.Trim()}");
        }

        context.ThrowIfFailed(result, kernel: null, nameof(DriverApi.cuModuleLoadDataEx));
        return new CudaModule(context, context.Own(module, api.cuModuleUnload, nameof(DriverApi.cuModuleUnload)));
    }
}
