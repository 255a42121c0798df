namespace Dvp.Cuda;

/// <summary>What was looked for and found of one library.</summary>
/// <param name="File">Where it is; null when it is missing or cannot be used.</param>
/// <param name="Version">Its CUDA version; null when it is missing or cannot be used.</param>
/// <param name="Tried">A line for every name and file that was tried.</param>
/// <param name="Problem">Why it cannot be used, and what to do; null when it can.</param>
public sealed record ProbedLibrary(string? File, CudaVersion? Version, IReadOnlyList<string> Tried, string? Problem)
{
    /// <summary>Whether a library is there that was loaded and then cannot be used: one of another kind, or a driver that finds no device.</summary>
    public bool IsUnusable { get; init; }
}

/// <summary>What a machine has for CUDA: the driver, its devices, and the compiler. Looking never throws.</summary>
/// <param name="Driver">The driver.</param>
/// <param name="Devices">Its devices; empty where it cannot be used.</param>
/// <param name="Nvrtc">The run-time compiler.</param>
public sealed record CudaProbe(ProbedLibrary Driver, IReadOnlyList<CudaDeviceInfo> Devices, ProbedLibrary Nvrtc)
{
    /// <summary>Looks at the machine.</summary>
    /// <param name="driverPath">File or folder of the driver; null for the usual places.</param>
    /// <param name="nvrtcPath">File or folder of NVRTC; null for the usual places.</param>
    /// <param name="nvrtcFolders">Folders to search for NVRTC after the loader's own places.</param>
    public static CudaProbe Run(string? driverPath, string? nvrtcPath, IReadOnlyList<string> nvrtcFolders)
    {
        (ProbedLibrary driver, IReadOnlyList<CudaDeviceInfo> devices) = RunDriver(driverPath);
        return new CudaProbe(driver, devices, RunNvrtc(new NvrtcSearch(nvrtcPath, nvrtcFolders, driver.Version)));
    }

    /// <summary>Looks for the driver and its devices alone.</summary>
    /// <param name="path">File or folder of the driver; null for the usual places.</param>
    public static (ProbedLibrary Driver, IReadOnlyList<CudaDeviceInfo> Devices) RunDriver(string? path)
    {
        List<CudaDeviceInfo> devices = [];
        List<string> tried = [];
        try
        {
            CudaDriver driver = CudaDriver.Open(path, tried);
            for (int i = 0; i < driver.DeviceCount; i++)
            {
                devices.Add(driver.Describe(i));
            }

            string? problem = devices.Count == 0 ? "The driver has no device: see nvidia-smi, and give containers the GPU." : null;
            return (new ProbedLibrary(Interop.LibraryFiles.PathOfLoaded(driver.File), driver.Version, tried, problem), devices);
        }
        catch (CudaException e)
        {
            return (new ProbedLibrary(null, null, tried, e.Message) { IsUnusable = e.Call != CudaDriver.Subject }, devices);
        }
    }

    /// <summary>Looks for the run-time compiler alone, by loading it.</summary>
    /// <param name="search">Where to look and what fits.</param>
    public static ProbedLibrary RunNvrtc(NvrtcSearch search)
    {
        List<string> tried = [];
        try
        {
            Nvrtc nvrtc = Cuda.Nvrtc.Open(search, tried);
            return new ProbedLibrary(nvrtc.File, nvrtc.Version, tried, null);
        }
        catch (CudaException e)
        {
            return new ProbedLibrary(null, null, tried, e.Message) { IsUnusable = e.Call != Cuda.Nvrtc.Subject };
        }
    }
}
