using System.Globalization;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>One architecture that kernels are compiled for, with the limits of its multiprocessors (CUDA C++ Programming Guide, compute capabilities).</summary>
/// <param name="Name">As the compiler takes it: sm_90a.</param>
/// <param name="Threads">Threads that a multiprocessor holds.</param>
/// <param name="Blocks">Blocks that it holds.</param>
/// <param name="SharedBytes">Shared memory of a multiprocessor.</param>
/// <param name="Examples">Devices of this kind.</param>
internal sealed record GpuArchitecture(string Name, int Threads, int Blocks, int SharedBytes, string Examples)
{
    private const int WarpSize = 32;
    private const int Registers = 65536;
    private const int Partitions = 4; // a multiprocessor's registers come in four equal files, and a warp lives in one of them
    private const int RegisterUnit = 256;
    private const int SharedUnit = 128;
    private const int ReservedShared = 1024; // of each block, for the system

    /// <summary>Those that the compile gate compiles for.</summary>
    public static IReadOnlyList<GpuArchitecture> All { get; } =
    [
        new("sm_80", 2048, 32, 164 * 1024, "A100"),
        new("sm_89", 1536, 24, 100 * 1024, "L4, L40, RTX 4090"),
        new("sm_90a", 2048, 32, 228 * 1024, "H100, H200"),
        new("sm_100a", 2048, 32, 228 * 1024, "B200"),
        new("sm_120", 1536, 24, 100 * 1024, "RTX 5090"),
    ];

    /// <summary>Blocks of a kernel that a multiprocessor holds at a time; 0 where one alone is too large.</summary>
    /// <param name="registers">Registers of a thread.</param>
    /// <param name="sharedBytes">Shared memory of a block, static and dynamic.</param>
    /// <param name="threads">Threads of a block.</param>
    public int ResidentBlocks(int registers, int sharedBytes, int threads)
    {
        int warps = (threads + WarpSize - 1) / WarpSize;
        int byRegisters = Registers / Partitions / RoundUp(Math.Max(registers, 1) * WarpSize, RegisterUnit) * Partitions / warps;
        int byShared = SharedBytes / RoundUp(sharedBytes + ReservedShared, SharedUnit);
        return Math.Min(Math.Min(Blocks, Threads / (warps * WarpSize)), Math.Min(byRegisters, byShared));
    }

    /// <summary>Theoretical occupancy: the share of a multiprocessor's warps that resident blocks of the kernel make, in [0, 1].</summary>
    /// <inheritdoc cref="ResidentBlocks"/>
    public double Occupancy(int registers, int sharedBytes, int threads) =>
        (double)ResidentBlocks(registers, sharedBytes, threads) * RoundUp(threads, WarpSize) / Threads;

    /// <summary>The limits in one line.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{Name} ({Examples}): {Threads} threads, {Blocks} blocks, {SharedBytes / 1024} KiB shared memory, {Registers} registers");

    private static int RoundUp(int value, int unit) => (value + unit - 1) / unit * unit;
}
