using System.Numerics;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// The vector width that matrix products are computed with. All give the same bits where the machine has fused multiply-add.
/// </summary>
internal enum CpuKernelKind
{
    /// <summary>Whatever <see cref="Vector{T}"/> is on the machine.</summary>
    Portable,

    /// <summary>256-bit vectors: AVX2 with FMA.</summary>
    Avx2,

    /// <summary>512-bit vectors: AVX-512.</summary>
    Avx512,
}

/// <summary>Facts about the kinds.</summary>
internal static class CpuKernelKinds
{
    /// <summary>The best kind for this machine.</summary>
    internal static CpuKernelKind Best =>
        Vector512.IsHardwareAccelerated ? CpuKernelKind.Avx512
        : Vector256.IsHardwareAccelerated ? CpuKernelKind.Avx2
        : CpuKernelKind.Portable;

    /// <summary>Columns of a panel of a packed matrix: two vectors, and 16 where vectors are narrower than eight floats.</summary>
    internal static int PanelWidth(this CpuKernelKind kind) => kind switch
    {
        CpuKernelKind.Avx512 => 32,
        CpuKernelKind.Avx2 => 16,
        _ => Math.Max(16, 2 * Vector<float>.Count),
    };
}
