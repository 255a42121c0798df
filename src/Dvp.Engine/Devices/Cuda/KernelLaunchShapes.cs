namespace Dvp.Engine.Devices.Cuda;

/// <summary>The usual launch of a kernel: what its launcher asks for at the sizes of DVP-BERT-base.</summary>
/// <param name="Threads">Threads of a block.</param>
/// <param name="DynamicSharedBytes">Shared memory that the launch adds to the kernel's own.</param>
internal readonly record struct KernelLaunchShape(int Threads, int DynamicSharedBytes = 0);

/// <summary>
/// Usual launches by entry point, for the occupancy in kernels/RESOURCES.md. A launcher chooses block and shared memory when it runs, so
/// neither the text nor the compiled code has them.
/// </summary>
internal static class KernelLaunchShapes
{
    private static readonly Dictionary<string, KernelLaunchShape> s_shapes = [];

    /// <summary>The usual launch; null where none is listed.</summary>
    public static KernelLaunchShape? Find(string entry, KernelVariant variant) =>
        s_shapes.TryGetValue(entry, out KernelLaunchShape shape) ? shape : null;
}
