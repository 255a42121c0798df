using System.Globalization;
using Dvp.Cuda;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;

namespace Dvp.Settings;

/// <summary>Kinds of devices that can be asked for.</summary>
public enum DeviceKind
{
    /// <summary>The best device that is there.</summary>
    Auto,

    /// <summary>The processor.</summary>
    Cpu,

    /// <summary>An NVIDIA GPU.</summary>
    Cuda,
}

/// <summary>The device that a user asks for: auto, cpu, cuda or cuda:n.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Index">The number of the GPU, from 0.</param>
public readonly record struct DeviceChoice(DeviceKind Kind, int Index = 0)
{
    private const int NoLibrary = 0; // of CudaException.Code

    /// <summary>The best device that is there.</summary>
    public static DeviceChoice Auto => new(DeviceKind.Auto);

    /// <summary>The processor.</summary>
    public static DeviceChoice Cpu => new(DeviceKind.Cpu);

    /// <summary>Reads a choice.</summary>
    /// <param name="text">auto, cpu, cuda or cuda:n.</param>
    /// <param name="choice">The choice.</param>
    /// <returns>Whether the text is one.</returns>
    public static bool TryParse(string text, out DeviceChoice choice)
    {
        int index = 0;
        bool numbered = text.StartsWith("cuda:", StringComparison.Ordinal)
            && int.TryParse(text.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out index);
        choice = text switch
        {
            "auto" => Auto,
            "cpu" => Cpu,
            "cuda" => new DeviceChoice(DeviceKind.Cuda),
            _ => new DeviceChoice(DeviceKind.Cuda, index),
        };
        return numbered || text is "auto" or "cpu" or "cuda";
    }

    /// <summary>Opens the device.</summary>
    /// <param name="threads">CPU threads, the caller included; 0 for all that the process may use.</param>
    /// <param name="type">
    /// F32, BF16 or F16. A GPU keeps activations and frozen parameters in it; the CPU computes in F32 and keeps frozen matrices in it. Null
    /// for the device's own: BF16 on a GPU, F32 on the CPU.
    /// </param>
    /// <param name="note">Gets a sentence where something is worth saying: which device auto took, and why not a GPU that is there.</param>
    /// <exception cref="DvpException">The device asked for is not there (<see cref="DvpExitCode.NoDevice"/>).</exception>
    public Backend Open(int threads = 0, ElementType? type = null, Action<string>? note = null) =>
        Kind == DeviceKind.Cpu ? OpenCpu(threads, type) : Open(threads, type, note, DvpEnvironment.CudaOptions(note));

    /// <summary>The same with the settings of CUDA given, which else are the environment's.</summary>
    internal Backend Open(int threads, ElementType? type, Action<string>? note, CudaOptions cuda) => Kind switch
    {
        DeviceKind.Cpu => OpenCpu(threads, type),
        DeviceKind.Cuda => OpenCuda(type, cuda),
        _ => OpenBest(threads, type, note, cuda),
    };

    private CudaBackend OpenCuda(ElementType? type, CudaOptions cuda) => CudaBackend.Open(Index, type ?? ElementType.BF16, cuda);

    /// <summary>A GPU on which a kernel runs, else the CPU. Why not is said wherever there is a driver, or one was named.</summary>
    private Backend OpenBest(int threads, ElementType? type, Action<string>? note, CudaOptions cuda)
    {
        CudaBackend? gpu = null;
        try
        {
            gpu = OpenCuda(type, cuda);
            using DeviceBuffer buffer = gpu.Allocate(sizeof(float));
            gpu.Fill(new Tensor(buffer, 0, ElementType.F32, [1]), 1); // a kernel was found or compiled, loaded and launched
            gpu.Synchronize();
            note?.Invoke($"auto took {gpu.Name}");
            return gpu;
        }
        catch (DvpException e) when (e.ExitCode == DvpExitCode.NoDevice)
        {
            gpu?.Dispose();
            if (gpu is not null || cuda.Driver is not null || e.InnerException is not CudaException { Code: NoLibrary })
            {
                note?.Invoke($"auto took the CPU: {(e.InnerException as CudaException ?? (Exception)e).Message}");
            }

            return OpenCpu(threads, type);
        }
    }

    private static CpuBackend OpenCpu(int threads, ElementType? type) => new(threads, type ?? ElementType.F32);

    /// <summary>auto, cpu or cuda:n.</summary>
    public override string ToString() => Kind switch
    {
        DeviceKind.Auto => "auto",
        DeviceKind.Cpu => "cpu",
        _ => string.Create(CultureInfo.InvariantCulture, $"cuda:{Index}"),
    };
}
