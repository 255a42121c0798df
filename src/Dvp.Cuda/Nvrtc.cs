using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>A text that a program includes.</summary>
/// <param name="Name">As <c>#include</c> names it.</param>
/// <param name="Text">Its contents.</param>
public readonly record struct NvrtcHeader(string Name, string Text);

/// <summary>What the compiler made.</summary>
/// <param name="Code">Machine code, or PTX with its final zero byte.</param>
/// <param name="Log">Warnings, and the assembler's report where it was asked for.</param>
public sealed record NvrtcResult(byte[] Code, string Log);

/// <summary>NVRTC, the compiler of CUDA C++ at run time. Calls may come from many threads at once.</summary>
public sealed unsafe class Nvrtc
{
    /// <summary>What the error of a compiler that cannot be loaded names in place of a call.</summary>
    internal const string Subject = "NVRTC";

    private readonly NvrtcApi _api;

    private Nvrtc(NvrtcApi api, string file, CudaVersion version)
    {
        _api = api;
        File = file;
        Version = version;
        int count;
        ThrowIfFailed(api.nvrtcGetNumSupportedArchs(&count));
        int[] capabilities = new int[count];
        fixed (int* first = capabilities)
        {
            ThrowIfFailed(api.nvrtcGetSupportedArchs(first));
        }

        Capabilities = capabilities;
    }

    /// <summary>The file of the library.</summary>
    public string File { get; }

    /// <summary>Its version.</summary>
    public CudaVersion Version { get; }

    /// <summary>The compute capabilities that it compiles for, as 80, 90, 120.</summary>
    public IReadOnlyList<int> Capabilities { get; }

    /// <summary>Loads the best compiler that fits.</summary>
    /// <param name="search">Where to look and what fits.</param>
    /// <exception cref="CudaException">There is none, or none that fits the driver.</exception>
    public static Nvrtc Open(NvrtcSearch search) => Open(search, []);

    /// <summary>Compiles a program.</summary>
    /// <param name="source">The text.</param>
    /// <param name="name">The name that messages give it: <c>layernorm.cu</c>.</param>
    /// <param name="headers">What it includes.</param>
    /// <param name="options">As NVRTC documents them. With <c>--gpu-architecture=sm_80</c> machine code comes out, with <c>compute_80</c> PTX.</param>
    /// <exception cref="CudaException">It does not compile; the message has the compiler's log.</exception>
    public NvrtcResult Compile(string source, string name, IReadOnlyList<NvrtcHeader> headers, IReadOnlyList<string> options)
    {
        using Utf8Strings text = new([source, name]);
        using Utf8Strings contents = new([.. headers.Select(h => h.Text)]);
        using Utf8Strings names = new([.. headers.Select(h => h.Name)]);
        using Utf8Strings flags = new(options);
        nint program;
        ThrowIfFailed(_api.nvrtcCreateProgram(&program, text.First[0], text.First[1], headers.Count, contents.First, names.First));
        try
        {
            int result = _api.nvrtcCompileProgram(program, options.Count, flags.First);
            string log = Log(program);
            if (result != 0)
            {
                throw new CudaException(
                    nameof(NvrtcApi.nvrtcCompileProgram), result, Name(result),
                    $"{name} does not compile with {string.Join(' ', options)}: {Name(result)}\n{log}");
            }

            bool ptx = options.Any(o => o.Contains("=compute_", StringComparison.Ordinal));
            return new NvrtcResult(ptx ? Ptx(program) : Cubin(program), log);
        }
        finally
        {
            _ = _api.nvrtcDestroyProgram(&program);
        }
    }

    internal static Nvrtc Open(NvrtcSearch search, List<string> tried)
    {
        string? misfit = null;
        foreach (string candidate in search.Candidates)
        {
            PreloadBuiltins(candidate);
            string? file = LibraryFiles.Load([candidate], tried, out nint handle);
            if (file is null)
            {
                continue;
            }

            NvrtcApi api = new(new NativeFunctions(handle, file, "NVRTC of CUDA 11.2 or newer is needed."));
            int major, minor;
            if (api.nvrtcVersion(&major, &minor) != 0)
            {
                continue;
            }

            CudaVersion version = new(major, minor);
            if (search.Misfit(version) is { } reason)
            {
                misfit ??= reason;
                tried[^1] = $"{candidate}: {reason}";
                continue;
            }

            return new Nvrtc(api, LibraryFiles.PathOfLoaded(file), version);
        }

        throw CudaException.Missing(
            Subject, $"The run-time compiler NVRTC cannot be loaded ({string.Join("; ", tried)}).",
            misfit ?? "Install NVRTC of the CUDA toolkit (or the Python package nvidia-cuda-nvrtc), or name its file or folder.");
    }

    // The compiler opens its library of built-in functions by name when it first compiles. Where it lies beside the compiler in a folder
    // that the loader does not search, that fails unless the library is loaded already.
    private static void PreloadBuiltins(string candidate)
    {
        if (Path.IsPathRooted(candidate) && Path.GetDirectoryName(candidate) is { } folder && Directory.Exists(folder))
        {
            string pattern = OperatingSystem.IsWindows() ? "nvrtc-builtins64_*.dll" : "libnvrtc-builtins.so*";
            foreach (string builtins in Directory.GetFiles(folder, pattern))
            {
                NativeLibrary.TryLoad(builtins, out _);
            }
        }
    }

    private string Log(nint program)
    {
        nuint size;
        if (_api.nvrtcGetProgramLogSize(program, &size) != 0 || size <= 1)
        {
            return "";
        }

        byte[] log = new byte[size];
        fixed (byte* first = log)
        {
            ThrowIfFailed(_api.nvrtcGetProgramLog(program, first));
        }

        return Encoding.UTF8.GetString(log).TrimEnd('\0', '\n', ' ');
    }

    private byte[] Cubin(nint program)
    {
        nuint size;
        ThrowIfFailed(_api.nvrtcGetCUBINSize(program, &size));
        byte[] code = new byte[size];
        fixed (byte* first = code)
        {
            ThrowIfFailed(_api.nvrtcGetCUBIN(program, first));
        }

        return code;
    }

    private byte[] Ptx(nint program)
    {
        nuint size;
        ThrowIfFailed(_api.nvrtcGetPTXSize(program, &size));
        byte[] code = new byte[size];
        fixed (byte* first = code)
        {
            ThrowIfFailed(_api.nvrtcGetPTX(program, first));
        }

        return code;
    }

    private string Name(int result) => Marshal.PtrToStringUTF8((nint)_api.nvrtcGetErrorString(result)) ?? "";

    private void ThrowIfFailed(int result, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != 0)
        {
            string function = call[(call.IndexOf('.', StringComparison.Ordinal) + 1)..Math.Max(call.IndexOf('(', StringComparison.Ordinal), 0)];
            string name = Name(result);
            throw new CudaException(
                function, result, name, string.Create(CultureInfo.InvariantCulture, $"{function} failed with {name} ({result})."));
        }
    }
}
