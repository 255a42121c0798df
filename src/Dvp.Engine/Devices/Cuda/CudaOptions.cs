namespace Dvp.Engine.Devices.Cuda;

/// <summary>Where the CUDA device finds its libraries and kernels, and how it behaves.</summary>
public sealed record CudaOptions
{
    /// <summary>File or folder of the driver; null for the usual names.</summary>
    public string? Driver { get; init; }

    /// <summary>File or folder of the run-time compiler NVRTC; null for the usual names and <see cref="NvrtcFolders"/>.</summary>
    public string? Nvrtc { get; init; }

    /// <summary>Folders that are searched for NVRTC after the loader's own places.</summary>
    public IReadOnlyList<string> NvrtcFolders { get; init; } = [];

    /// <summary>Folder of compiled kernels; null keeps none.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>The most bytes that <see cref="CacheFolder"/> holds; the kernels unused for longest go first.</summary>
    public long CacheBytes { get; init; } = 256L << 20;

    /// <summary>Folder of kernels compiled beforehand (<c>dvp kernels build</c>), read before the cache; null for none.</summary>
    public string? KernelsFolder { get; init; }

    /// <summary>Wait after every launch, so that an error names the kernel that made it.</summary>
    public bool LaunchBlocking { get; init; }

    /// <summary>Gets a sentence where something unexpected was mended: a damaged cache entry, kernels from PTX. Null drops it.</summary>
    public Action<string>? Note { get; init; }
}
