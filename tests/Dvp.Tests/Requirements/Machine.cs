using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dvp.Cuda;
using Dvp.Engine.Devices.Cuda;
using Dvp.Profiling;
using Dvp.Settings;

namespace Dvp.Tests;

/// <summary>What the machine that runs the tests can do. Every probe runs once.</summary>
public static unsafe class Machine
{
    /// <summary>Environment variable whose capabilities must be there: tests that need them fail where they would be skipped.</summary>
    public const string DemandVariable = "DVP_REQUIRE";

    private static readonly ConcurrentDictionary<Capability, string?> s_missing = new();
    private static readonly string[] s_compilers = ["g++", "c++", "clang++"];
    private static readonly string[] s_interpreters = ["python3", "python"];

    /// <summary>The names in <see cref="DemandVariable"/>.</summary>
    public static IReadOnlySet<string> Demanded { get; } = ParseDemand(Environment.GetEnvironmentVariable(DemandVariable));

    /// <summary>Whether operators and models are tested on the machine's GPU (DVP_TEST_GPU=1) in place of the kernel host.</summary>
    public static bool OnGpu { get; } = Environment.GetEnvironmentVariable("DVP_TEST_GPU") == "1";

    /// <summary>The C++ compiler, or null.</summary>
    public static string? CppCompiler => s_compilers.Select(FindProgram).FirstOrDefault(p => p is not null);

    /// <summary>The Python 3 interpreter, or null.</summary>
    public static string? Python => s_interpreters.Select(FindProgram).FirstOrDefault(p => p is not null && IsPython3(p));

    /// <summary>A capability as <see cref="DemandVariable"/> names it: KernelHost is "kernel-host".</summary>
    public static string NameOf(Capability capability) =>
        string.Concat(capability.ToString().Select(
            (c, i) => char.IsUpper(c) && i > 0 ? $"-{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}"));

    /// <summary>Why a capability is not there, or null where it is.</summary>
    public static string? Missing(Capability capability) => s_missing.GetOrAdd(capability, Probe);

    /// <summary>Reads a list of capabilities separated by commas.</summary>
    /// <exception cref="ArgumentException">A name is unknown: a misspelt demand would otherwise let skips pass.</exception>
    public static IReadOnlySet<string> ParseDemand(string? list)
    {
        HashSet<string> names = [.. (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
        string[] known = [.. Enum.GetValues<Capability>().Where(c => c != Capability.None).Select(NameOf)];
        return names.FirstOrDefault(n => !known.Contains(n)) is { } unknown
            ? throw new ArgumentException($"{DemandVariable} names {unknown}; known are {string.Join(", ", known)}.", nameof(list))
            : names;
    }

    private static string? Probe(Capability capability) => capability switch
    {
        Capability.Cuda => ProbeCuda(),
        Capability.Nvrtc => ProbeNvrtc(),
        Capability.KernelHost => ProbeKernelHost(),
        Capability.Python => Python is null ? "no python3 on the path" : null,
        Capability.CudaDevice => OnGpu ? ProbeCuda() : ProbeKernelHost(),
        Capability.Nvdisasm => DvpEnvironment.FindCudaProgram(Disassembler.Program) is null ? $"no {Disassembler.Program}" : null,
        Capability.Jit => RuntimeFeature.IsDynamicCodeCompiled ? null : "the tests are compiled ahead of time",
        Capability.CppCompiler => CppCompiler is null ? $"none of {string.Join(", ", s_compilers)} on the path" : null,
        _ => throw new ArgumentOutOfRangeException(nameof(capability)),
    };

    private static string? ProbeCuda()
    {
        if (Load("DVP_CUDA_DRIVER", "libcuda.so.1", "nvcuda.dll") is not { } driver)
        {
            return "no CUDA driver library";
        }

        var init = (delegate* unmanaged<uint, int>)NativeLibrary.GetExport(driver, "cuInit");
        var count = (delegate* unmanaged<int*, int>)NativeLibrary.GetExport(driver, "cuDeviceGetCount");
        int status = init(0);
        if (status != 0)
        {
            return $"cuInit gave error {status}";
        }

        int devices = 0;
        status = count(&devices);
        return status != 0 ? $"cuDeviceGetCount gave error {status}" : devices == 0 ? "the driver reports no device" : null;
    }

    // The library must make machine code for a GPU: a stand-in that makes something else (the kernel host's) compiles nothing that the gate
    // could judge.
    private static string? ProbeNvrtc()
    {
        try
        {
            CudaOptions options = DvpEnvironment.CudaOptions();
            NvrtcResult empty = Nvrtc.Open(new NvrtcSearch(options.Nvrtc, options.NvrtcFolders, Driver: null))
                .Compile("extern \"C\" __global__ void nothing() {}", "nothing.cu", [], ["-arch=sm_80"]);
            const int Cuda = 190; // the machine in the header of an ELF file
            return empty.Code is [0x7f, (byte)'E', (byte)'L', (byte)'F', ..] && BitConverter.ToUInt16(empty.Code, 18) == Cuda
                ? null
                : "the NVRTC library makes no code for a GPU";
        }
        catch (CudaException e)
        {
            return e.Message;
        }
    }

    private static string? ProbeKernelHost()
    {
        string script = Path.Combine(Fixtures.RepositoryRoot, "tests", "Dvp.KernelHost", "build.sh");
        return !OperatingSystem.IsLinux() ? "the kernel host runs on Linux only"
            : CppCompiler is null ? $"none of {string.Join(", ", s_compilers)} on the path"
            : !File.Exists(script) ? $"{script} does not exist"
            : null;
    }

    /// <summary>A library by the file or folder that a variable gives, else by its usual names.</summary>
    private static nint? Load(string variable, params ReadOnlySpan<string> names)
    {
        string? place = Environment.GetEnvironmentVariable(variable);
        foreach (string name in names)
        {
            string path = string.IsNullOrEmpty(place) ? name : Directory.Exists(place) ? Path.Combine(place, name) : place;
            if (NativeLibrary.TryLoad(path, out nint handle))
            {
                return handle;
            }
        }

        return null;
    }

    private static string? FindProgram(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, OperatingSystem.IsWindows() ? name + ".exe" : name))
            .FirstOrDefault(File.Exists);

    private static bool IsPython3(string program)
    {
        ProcessStartInfo start = new(program, "--version") { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        string version = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
        process.WaitForExit();
        return version.StartsWith("Python 3", StringComparison.Ordinal);
    }
}
