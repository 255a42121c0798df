using System.Globalization;
using System.Text;
using Dvp.Engine;

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

    /// <summary>Every variable, as the README's table lists them.</summary>
    public static IReadOnlyList<EnvironmentSetting> All { get; } =
    [
        new(DeviceName, "auto", "Device of a command without --device: auto, cpu, cuda or cuda:n."),
        new(ThreadsName, "all processors that the process may use", "CPU threads of a command without --threads."),
        new(CudaDriverName, "the usual names", "File or folder of the CUDA driver library (libcuda.so.1)."),
        new(NvrtcName, "the usual names", "File or folder of the CUDA run-time compiler (libnvrtc.so)."),
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

    private static string? Read(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
