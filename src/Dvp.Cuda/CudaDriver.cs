using System.Globalization;
using System.Runtime.InteropServices;
using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>The driver library, loaded and initialised: what devices there are, and the way to open one.</summary>
/// <remarks>A loaded driver stays loaded until the process ends; NVIDIA's library does not bear being unloaded.</remarks>
public sealed unsafe class CudaDriver
{
    /// <summary>What the error of a driver that cannot be loaded names in place of a call.</summary>
    internal const string Subject = "driver";

    private const string Mend = "Install NVIDIA's driver, give a container the GPU, or name the driver's file.";

    private CudaDriver(DriverApi api, string file)
    {
        Api = api;
        File = file;
        int number;
        api.ThrowIfFailed(api.cuDriverGetVersion(&number));
        Version = CudaVersion.FromNumber(number);
        int count;
        api.ThrowIfFailed(api.cuDeviceGetCount(&count));
        DeviceCount = count;
    }

    /// <summary>The names that the driver has on this system.</summary>
    public static IReadOnlyList<string> Names { get; } = OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "libcuda.so"];

    /// <summary>The file, or the name by which the loader found it.</summary>
    public string File { get; }

    /// <summary>The newest CUDA version that the driver supports.</summary>
    public CudaVersion Version { get; }

    /// <summary>Number of devices.</summary>
    public int DeviceCount { get; }

    internal DriverApi Api { get; }

    /// <summary>Loads and initialises the driver.</summary>
    /// <param name="path">A file, or a folder that holds the driver under one of its <see cref="Names"/>; null for the usual places.</param>
    /// <exception cref="CudaException">It is not there, or it finds no device.</exception>
    public static CudaDriver Open(string? path = null) => Open(path, []);

    /// <summary>What a device is.</summary>
    /// <param name="index">Its number, from 0.</param>
    /// <exception cref="CudaException">There is no such device.</exception>
    public CudaDeviceInfo Describe(int index)
    {
        int device = Device(index);
        byte* name = stackalloc byte[256];
        Api.ThrowIfFailed(Api.cuDeviceGetName(name, 256, device));
        nuint bytes;
        Api.ThrowIfFailed(Api.cuDeviceTotalMem_v2(&bytes, device));
        return new CudaDeviceInfo(index, Marshal.PtrToStringUTF8((nint)name) ?? "", Attribute(75, device), Attribute(76, device))
        {
            MemoryBytes = (long)bytes,
            Multiprocessors = Attribute(16, device),
            ThreadsPerBlock = Attribute(1, device),
            ThreadsPerMultiprocessor = Attribute(39, device),
            SharedBytesPerBlock = Attribute(97, device),
            SharedBytesPerMultiprocessor = Attribute(81, device),
            CacheBytes = Attribute(38, device),
            ClockKilohertz = Attribute(13, device),
            HasMemoryPool = Attribute(115, device) != 0,
        };
    }

    /// <summary>Opens a device: retains its primary context.</summary>
    /// <param name="index">Its number, from 0.</param>
    /// <param name="launchBlocking">Wait after every launch, so that an error names the kernel that made it.</param>
    /// <exception cref="CudaException">There is no such device, or it cannot be used.</exception>
    public CudaContext OpenDevice(int index, bool launchBlocking = false) => new(this, Device(index), Describe(index), launchBlocking);

    internal static CudaDriver Open(string? path, List<string> tried)
    {
        string? file = LibraryFiles.Load(LibraryFiles.Candidates(path, Names, []), tried, out nint handle);
        if (file is null)
        {
            throw CudaException.Missing(Subject, $"The CUDA driver cannot be loaded ({string.Join("; ", tried)}).", Mend);
        }

        DriverApi api = new(new NativeFunctions(handle, file, "CUDA 11.4 or newer is needed: update the driver."));
        api.ThrowIfFailed(api.cuInit(0));
        return new CudaDriver(api, file);
    }

    private int Device(int index)
    {
        if (index < 0 || index >= DeviceCount)
        {
            throw new CudaException(
                "cuDeviceGet", 101, "CUDA_ERROR_INVALID_DEVICE",
                string.Create(CultureInfo.InvariantCulture, $"There is no CUDA device {index}: the driver has {DeviceCount}, counted from 0."));
        }

        int device;
        Api.ThrowIfFailed(Api.cuDeviceGet(&device, index));
        return device;
    }

    private int Attribute(int attribute, int device)
    {
        int value;
        Api.ThrowIfFailed(Api.cuDeviceGetAttribute(&value, attribute, device));
        return value;
    }
}
