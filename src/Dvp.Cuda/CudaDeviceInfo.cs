using System.Globalization;

namespace Dvp.Cuda;

/// <summary>What a device is and what a kernel may use of it.</summary>
/// <param name="Index">Number of the device, from 0.</param>
/// <param name="Name">As the driver has it: NVIDIA H200.</param>
/// <param name="Major">Compute capability, in front of the point.</param>
/// <param name="Minor">Compute capability, behind the point.</param>
public sealed record CudaDeviceInfo(int Index, string Name, int Major, int Minor)
{
    /// <summary>All memory, in bytes.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>Number of multiprocessors.</summary>
    public int Multiprocessors { get; init; }

    /// <summary>The most threads of a block.</summary>
    public int ThreadsPerBlock { get; init; }

    /// <summary>The most threads on a multiprocessor.</summary>
    public int ThreadsPerMultiprocessor { get; init; }

    /// <summary>The most shared memory of a block, static and dynamic together, in bytes.</summary>
    public int SharedBytesPerBlock { get; init; }

    /// <summary>Shared memory of a multiprocessor, in bytes.</summary>
    public int SharedBytesPerMultiprocessor { get; init; }

    /// <summary>Size of the L2 cache, in bytes.</summary>
    public int CacheBytes { get; init; }

    /// <summary>The highest clock of the multiprocessors; 0 where the driver runs kernels on something that has no clock of its own.</summary>
    public int ClockKilohertz { get; init; }

    /// <summary>Whether the driver keeps a pool of the device's memory; not on some virtual GPUs.</summary>
    public bool HasMemoryPool { get; init; }

    /// <summary>
    /// The target to compile for: sm_80, sm_89. From Hopper on the variant with the instructions of that generation (sm_90a, sm_100a)
    /// where there is one that its kernels use.
    /// </summary>
    public string Architecture => string.Create(
        CultureInfo.InvariantCulture, $"sm_{Major}{Minor}{((Major, Minor) is (9, 0) or (10, 0) ? "a" : "")}");
}
