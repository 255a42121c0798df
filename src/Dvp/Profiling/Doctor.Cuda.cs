using System.Runtime.InteropServices;
using Dvp.Settings;

namespace Dvp.Profiling;

public static partial class Doctor
{
    private static readonly string[] s_drivers = OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "libcuda.so"];

    private static readonly string[] s_compilers = OperatingSystem.IsWindows()
        ? ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"]
        : ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];

    /// <summary>Looks for what a CUDA device needs, and says where it looked.</summary>
    private static void SearchCuda(List<DoctorFinding> found)
    {
        bool driver = Search(
            found, "driver", s_drivers, DvpEnvironment.CudaDriver, DvpEnvironment.CudaDriverName,
            "Install NVIDIA's driver, or run where it is (containers need the GPU passed in)");
        bool compiler = Search(
            found, "run-time compiler", s_compilers, DvpEnvironment.Nvrtc, DvpEnvironment.NvrtcName, "Install NVRTC of the CUDA toolkit");
        found.Add(new(
            "cuda",
            "device",
            driver && compiler
                ? "the libraries are there, but this build has no CUDA device: everything runs on the CPU"
                : "none: everything runs on the CPU"));
    }

    private static bool Search(List<DoctorFinding> found, string what, string[] names, string? given, string variable, string install)
    {
        string[] candidates = given is null ? names
            : Directory.Exists(given) ? [.. names.Select(n => Path.Combine(given, n))]
            : [given];
        foreach (string candidate in candidates)
        {
            if (NativeLibrary.TryLoad(candidate, out nint handle))
            {
                NativeLibrary.Free(handle);
                found.Add(new("cuda", what, $"found as {candidate}"));
                return true;
            }
        }

        found.Add(new(
            "cuda", what, $"missing (looked for {string.Join(", ", candidates)})",
            $"{install}, or set {variable} to its file or folder; without it the CPU is used."));
        return false;
    }
}
