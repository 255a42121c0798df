using System.Diagnostics;
using System.Globalization;
using Dvp.Cuda;
using Dvp.Engine;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Settings;

namespace Dvp.Profiling;

public static partial class Doctor
{
    private const string NoKernel = "no kernel runs";

    /// <summary>Looks for what a CUDA device needs, says where it looked, and where all is there runs a kernel on every GPU.</summary>
    private static void ExamineCuda(List<DoctorFinding> found, bool timing)
    {
        List<string> notes = [];
        CudaOptions options = DvpEnvironment.CudaOptions(notes.Add);
        (ProbedLibrary driver, IReadOnlyList<CudaDeviceInfo> devices) = CudaProbe.RunDriver(options.Driver);

        // Kernels come first: where all are there the compiler is not needed, and the time to the first launch does not have it.
        List<DoctorFinding> launched = [];
        foreach (CudaDeviceInfo device in devices)
        {
            launched.Add(new(
                "cuda",
                $"device cuda:{device.Index}",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{device.Name}, {device.Architecture}, {device.Multiprocessors} multiprocessors, {Bytes(device.MemoryBytes)}")));
            Launch(launched, device, options, timing);
        }

        ProbedLibrary compiler = CudaProbe.RunNvrtc(new NvrtcSearch(options.Nvrtc, options.NvrtcFolders, driver.Version));
        found.Add(Library(
            "driver", driver,
            $"Install NVIDIA's driver, or run where it is (containers need the GPU passed in), or set {DvpEnvironment.CudaDriverName} "
                + "to its file or folder; without it the CPU is used."));
        found.Add(Library(
            "run-time compiler", compiler,
            $"Install NVRTC of the CUDA toolkit (pip install nvidia-cuda-nvrtc has it too), or set {DvpEnvironment.NvrtcName} to its file or "
                + $"folder, or set {DvpEnvironment.KernelsFolderName} to kernels compiled beforehand; without it the CPU is used."));
        Kernels(found, options);
        if (devices.Count == 0)
        {
            found.Add(new("cuda", "device", "none: everything runs on the CPU"));
        }

        // Without a compiler a kernel that is not there is no fault of the program's: what is missing is said above.
        found.AddRange(launched.Select(f => f.Value == NoKernel ? f with { Wrong = compiler.File is not null } : f));
        found.AddRange(notes.Select(n => new DoctorFinding("cuda", "note", n)));
    }

    /// <summary>What was found of a library; one that is there and of no use says why by itself.</summary>
    internal static DoctorFinding Library(string what, ProbedLibrary library, string mend) =>
        library.File is { } file ? new("cuda", what, $"CUDA {library.Version}, {file}", library.Problem)
        : library.IsUnusable ? new("cuda", what, $"cannot be used ({string.Join("; ", library.Tried)})", library.Problem)
        : new("cuda", what, $"missing (looked for {string.Join("; ", library.Tried)})", mend);

    private static void Kernels(List<DoctorFinding> found, CudaOptions options)
    {
        if (options.KernelsFolder is { } bundle)
        {
            found.Add(new("cuda", "kernels compiled beforehand", bundle));
        }

        if (options.CacheFolder is not { } cache)
        {
            found.Add(new("cuda", "kernel cache", "none: every process compiles its kernels"));
            return;
        }

        FileInfo[] files = Directory.Exists(cache) ? new DirectoryInfo(cache).GetFiles() : [];
        found.Add(new(
            "cuda",
            "kernel cache",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{cache} ({files.Length} files, {files.Sum(f => f.Length) / 1e6:0.0} of at most {options.CacheBytes / 1e6:0} MB)")));
    }

    /// <summary>Finding libraries is not enough: one product is compiled or loaded, launched and checked.</summary>
    private static void Launch(List<DoctorFinding> found, CudaDeviceInfo device, CudaOptions options, bool timing)
    {
        try
        {
            long start = Stopwatch.GetTimestamp();
            using CudaBackend backend = CudaBackend.Open(device.Index, ElementType.F32, options);
            double opened = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            using (DeviceBuffer buffer = backend.Allocate(sizeof(float)))
            {
                backend.Fill(new Tensor(buffer, 0, ElementType.F32, [1]), 1);
            }

            double launched = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            double sinceStart = SinceProcessStart();
            Check(found, backend);
            double checkedAfter = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            KernelOrigins origins = backend.Origins;
            found.Add(new(
                "cuda",
                $"kernels on cuda:{device.Index}",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{origins.Bundle} files from {DvpEnvironment.KernelsFolderName}, {origins.Cache} from the cache, {origins.Compiled} compiled now"
                        + $"{(origins.Portable > 0 ? ", from PTX: the GPU is newer than the compiled kernels" : "")}")));
            if (timing)
            {
                found.Add(new("timing", $"opening cuda:{device.Index}", Milliseconds(opened)));
                found.Add(new("timing", $"first launch on cuda:{device.Index}, with its kernel", Milliseconds(launched - opened)));
                found.Add(new("timing", $"process start to first launch of cuda:{device.Index}", Milliseconds(sinceStart)));
                found.Add(new("timing", $"first product on cuda:{device.Index}, with its kernels", Milliseconds(checkedAfter - launched)));
                found.Add(new("timing", $"process start to first result of cuda:{device.Index}", Milliseconds(SinceProcessStart())));
            }
        }
        catch (DvpException e)
        {
            found.Add(new("check", $"cuda:{device.Index}", NoKernel, e.Message));
        }
    }

    private static double SinceProcessStart()
    {
        using Process process = Process.GetCurrentProcess();
        return (DateTime.Now - process.StartTime).TotalMilliseconds;
    }

    private static string Milliseconds(double value) => string.Create(CultureInfo.InvariantCulture, $"{value:0} ms");
}
