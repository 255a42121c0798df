using System.Globalization;
using System.Text;
using Dvp.Cuda;
using Dvp.Engine;
using Dvp.Engine.Devices.Cuda;

namespace Dvp.Settings;

/// <summary>One environment variable that the program reads.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Absent">What holds when it is not set.</param>
/// <param name="Meaning">What it does.</param>
public sealed record EnvironmentSetting(string Name, string Absent, string Meaning);

/// <summary>
/// All environment variables of the program, in one place: nothing else reads a DVP_ variable. A flag of the command line wins over its
/// variable; an empty variable counts as not set.
/// </summary>
public static class DvpEnvironment
{
    /// <summary>Name of the variable behind <see cref="Device"/>.</summary>
    public const string DeviceName = "DVP_DEVICE";

    /// <summary>Name of the variable behind <see cref="Threads"/>.</summary>
    public const string ThreadsName = "DVP_THREADS";

    /// <summary>Name of the variable behind <see cref="CudaDriver"/>.</summary>
    public const string CudaDriverName = "DVP_CUDA_DRIVER";

    /// <summary>Name of the variable behind <see cref="Nvrtc"/>.</summary>
    public const string NvrtcName = "DVP_NVRTC";

    /// <summary>Name of the variable behind <see cref="CublasLt"/>.</summary>
    public const string CublasLtName = "DVP_CUBLASLT";

    /// <summary>Name of the variable behind <see cref="CacheFolder"/>.</summary>
    public const string CacheFolderName = "DVP_CACHE_DIR";

    /// <summary>Name of the variable behind <see cref="CacheBytes"/>.</summary>
    public const string CacheMegabytesName = "DVP_CACHE_MB";

    /// <summary>Name of the variable behind <see cref="KernelsFolder"/>.</summary>
    public const string KernelsFolderName = "DVP_KERNELS_DIR";

    /// <summary>Name of the variable behind <see cref="LaunchBlocking"/>.</summary>
    public const string LaunchBlockingName = "DVP_LAUNCH_BLOCKING";

    private const int DefaultCacheMegabytes = 256;

    /// <summary>Every variable, as the README's table lists them.</summary>
    public static IReadOnlyList<EnvironmentSetting> All { get; } =
    [
        new(DeviceName, "auto", "Device of a command without --device: auto, cpu, cuda or cuda:n."),
        new(ThreadsName, "all processors that the process may use", "CPU threads of a command without --threads."),
        new(CudaDriverName, "the usual names", "File or folder of the CUDA driver library (libcuda.so.1)."),
        new(NvrtcName, "the usual names", "File or folder of the CUDA run-time compiler (libnvrtc.so)."),
        new(CublasLtName, "the usual names", "File or folder of NVIDIA's cuBLASLt, which dvp bench --only ops measures beside our products; nothing else uses it."),
        new(CacheFolderName, "dvp in the user's cache folder", "Folder that keeps compiled kernels."),
        new(CacheMegabytesName, "256", "The most megabytes of compiled kernels that are kept; 0 keeps none."),
        new(KernelsFolderName, "none", "Folder of kernels compiled beforehand (dvp kernels build): with it nothing is compiled."),
        new(LaunchBlockingName, "0", "1 waits after every kernel launch, so that an error names the kernel that made it."),
    ];

    /// <summary>The device of a command that names none.</summary>
    /// <exception cref="DvpException">The variable is set to no device.</exception>
    public static DeviceChoice Device => Read(DeviceName) is not { } text ? DeviceChoice.Auto
        : DeviceChoice.TryParse(text, out DeviceChoice choice) ? choice
        : throw new DvpException($"{DeviceName} is \"{text}\", but it must be auto, cpu, cuda or cuda:n.");

    /// <summary>CPU threads; 0 for all that the process may use.</summary>
    /// <exception cref="DvpException">The variable is no number of threads.</exception>
    public static int Threads => Read(ThreadsName) is not { } text ? 0
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int threads) && threads is >= 1 and <= 1024 ? threads
        : throw new DvpException($"{ThreadsName} is \"{text}\", but it must be a whole number from 1 to 1024.");

    /// <summary>File or folder of the CUDA driver library; null for the usual names.</summary>
    public static string? CudaDriver => Read(CudaDriverName);

    /// <summary>File or folder of NVRTC; null for the usual names.</summary>
    public static string? Nvrtc => Read(NvrtcName);

    /// <summary>File or folder of cuBLASLt; null for the usual names.</summary>
    public static string? CublasLt => Read(CublasLtName);

    /// <summary>Folder of compiled kernels: what the variable names, else a folder of dvp in the user's cache folder.</summary>
    public static string CacheFolder => Path.Combine(Read(CacheFolderName) ?? Path.Combine(UserCacheFolder, "dvp"), "kernels");

    /// <summary>The most bytes of compiled kernels that are kept; 0 keeps none.</summary>
    /// <exception cref="DvpException">The variable is no size.</exception>
    public static long CacheBytes => (Read(CacheMegabytesName) is not { } text ? DefaultCacheMegabytes
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int megabytes) ? (long)megabytes
        : throw new DvpException($"{CacheMegabytesName} is \"{text}\", but it must be a whole number of megabytes.")) << 20;

    /// <summary>Folder of kernels compiled beforehand; null for none.</summary>
    public static string? KernelsFolder => Read(KernelsFolderName);

    /// <summary>Whether every launch is waited for.</summary>
    /// <exception cref="DvpException">The variable is neither 0 nor 1.</exception>
    public static bool LaunchBlocking => Read(LaunchBlockingName) switch
    {
        null or "0" => false,
        "1" => true,
        { } text => throw new DvpException($"{LaunchBlockingName} is \"{text}\", but it must be 0 or 1."),
    };

    /// <summary>All settings of the CUDA device.</summary>
    /// <param name="note">Gets a sentence where something unexpected was mended; null drops it.</param>
    public static CudaOptions CudaOptions(Action<string>? note = null) => new()
    {
        Driver = CudaDriver,
        Nvrtc = Nvrtc,
        NvrtcFolders = Nvrtc is null ? NvrtcSearch.UsualFolders(ToolkitRoots()) : [],
        CacheFolder = CacheBytes == 0 ? null : CacheFolder,
        CacheBytes = CacheBytes,
        KernelsFolder = KernelsFolder,
        LaunchBlocking = LaunchBlocking,
        Note = note,
    };

    /// <summary>A program of the CUDA toolkit: beside the NVRTC that was named, on the PATH, or in CUDA_PATH/bin; null where it is in none of them.</summary>
    /// <param name="name">Its name, without extension.</param>
    public static string? FindCudaProgram(string name)
    {
        string file = OperatingSystem.IsWindows() ? name + ".exe" : name;
        string? beside = Nvrtc is not { } nvrtc || Directory.Exists(nvrtc) ? Nvrtc : Path.GetDirectoryName(Path.GetFullPath(nvrtc));
        string? toolkit = Read("CUDA_PATH") is { } root ? Path.Combine(root, "bin") : null;
        return (Read("PATH") ?? "").Split(Path.PathSeparator).Prepend(beside).Append(toolkit) // an older toolkit on the PATH may not know the GPU
            .Where(folder => !string.IsNullOrEmpty(folder))
            .Select(folder => Path.Combine(folder!, file))
            .FirstOrDefault(File.Exists);
    }

    /// <summary>The table of the README.</summary>
    public static string ToMarkdown()
    {
        StringBuilder text = new("| Variable | Meaning | When it is not set |\n|---|---|---|\n");
        foreach (EnvironmentSetting setting in All)
        {
            text.Append(CultureInfo.InvariantCulture, $"| `{setting.Name}` | {setting.Meaning} | {setting.Absent} |\n");
        }

        return text.ToString();
    }

    private static string UserCacheFolder =>
        OperatingSystem.IsWindows() ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
        : OperatingSystem.IsMacOS() ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), "Library", "Caches")
        : Read("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");

    // Where toolkits and Python environments say they are.
    private static IEnumerable<string> ToolkitRoots() =>
        new[] { Read("CUDA_PATH"), Read("CUDA_HOME"), Read("VIRTUAL_ENV"), Read("CONDA_PREFIX") }.OfType<string>();

    private static string? Read(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
