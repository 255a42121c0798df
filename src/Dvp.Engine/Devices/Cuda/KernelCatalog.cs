using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>One compilation of a kernel file: the file and what <c>-D</c> defines.</summary>
/// <param name="File">The .cu file, without extension.</param>
/// <param name="Real">Storage type: <c>real</c> in the text.</param>
/// <param name="Options">Further definitions, as <c>stream=f32 head_size=64</c>; empty for none.</param>
internal readonly record struct KernelVariant(string File, ElementType Real, string Options = "");

/// <summary>
/// Every variant of every file that a launcher can ask for: what <c>dvp kernels build</c> precompiles and the compile gate compiles.
/// Asking for one that is not listed is an error, so that nothing is compiled for the first time on a user's machine.
/// </summary>
internal static class KernelCatalog
{
    private static readonly ElementType[] s_reals = [ElementType.F32, ElementType.BF16, ElementType.F16];

    // File, and the option strings it is compiled with besides the three storage types.
    private static readonly (string File, string[] Options)[] s_files =
    [
        ("layernorm", [""]),
    ];

    /// <summary>All variants.</summary>
    public static IReadOnlyList<KernelVariant> All { get; } =
        [.. from f in s_files from options in f.Options from real in s_reals select new KernelVariant(f.File, real, options)];
}
