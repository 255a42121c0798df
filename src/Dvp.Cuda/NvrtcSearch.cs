using System.Globalization;
using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>Where the run-time compiler is looked for, and which versions of it fit a driver.</summary>
/// <param name="Path">A file, or a folder that holds the library; null for the loader's own places and <paramref name="Folders"/>.</param>
/// <param name="Folders">Folders that are searched after the loader's own places.</param>
/// <param name="Driver">The version of the driver that is to run the code; null takes any.</param>
/// <remarks>
/// A driver runs machine code of its own major version and of older ones. So a driver 12.4 gets NVRTC 12, whatever newer one lies beside it.
/// </remarks>
public sealed record NvrtcSearch(string? Path, IReadOnlyList<string> Folders, CudaVersion? Driver)
{
    private const int NewestKnown = 14;

    /// <summary>The file names of every version that fits, best first.</summary>
    public IReadOnlyList<string> Names => NamesFor(Driver?.Major ?? NewestKnown);

    /// <summary>What is tried, the newest version that fits first: by its name for the loader, then in the folders.</summary>
    public IReadOnlyList<string> Candidates => LibraryFiles.Candidates(Path, Names, Folders);

    /// <summary>Folders in which toolkits and Python packages usually put the library.</summary>
    /// <param name="roots">Roots of toolkits and of Python environments, as CUDA_PATH and VIRTUAL_ENV name them.</param>
    public static IReadOnlyList<string> UsualFolders(IEnumerable<string> roots)
    {
        List<string> folders = [];
        foreach (string root in roots.Append("/usr/local/cuda").Where(Directory.Exists))
        {
            folders.AddRange([System.IO.Path.Combine(root, "lib64"), System.IO.Path.Combine(root, "bin"), System.IO.Path.Combine(root, "lib")]);
            foreach (string packages in PythonPackages(root))
            {
                folders.AddRange(
                [
                    System.IO.Path.Combine(packages, "nvidia", "cu13", "lib"),
                    System.IO.Path.Combine(packages, "nvidia", "cuda_nvrtc", "lib"),
                    System.IO.Path.Combine(packages, "nvidia", "cuda_nvrtc", "bin"),
                ]);
            }
        }

        return [.. folders.Where(Directory.Exists)];
    }

    /// <summary>Why a version does not fit; null where it does.</summary>
    internal string? Misfit(CudaVersion version) => Driver is { } driver && version.Major > driver.Major
        ? $"NVRTC {version} makes code that a driver of CUDA {driver} cannot run; install NVRTC {driver.Major} or update the driver."
        : null;

    private static string[] NamesFor(int newest)
    {
        List<string> names = [];
        for (int major = newest; major >= 12; major--)
        {
            string number = major.ToString(CultureInfo.InvariantCulture);
            names.Add(OperatingSystem.IsWindows() ? $"nvrtc64_{number}0_0.dll" : $"libnvrtc.so.{number}");
        }

        if (newest >= 11)
        {
            names.Add(OperatingSystem.IsWindows() ? "nvrtc64_112_0.dll" : "libnvrtc.so.11.2");
        }

        if (!OperatingSystem.IsWindows())
        {
            names.Add("libnvrtc.so");
        }

        return [.. names];
    }

    private static IEnumerable<string> PythonPackages(string root)
    {
        yield return System.IO.Path.Combine(root, "Lib", "site-packages");
        string lib = System.IO.Path.Combine(root, "lib");
        if (Directory.Exists(lib))
        {
            foreach (string python in Directory.GetDirectories(lib, "python3*"))
            {
                yield return System.IO.Path.Combine(python, "site-packages");
            }
        }
    }
}
