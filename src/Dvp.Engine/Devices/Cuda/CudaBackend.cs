using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// An NVIDIA GPU as a device: the kernels of <c>kernels/</c>, launched in one stream. Activations and frozen weights are f32, bf16 or
/// f16; every accumulation, trainable parameter, gradient of a parameter, moment and statistic is f32.
/// </summary>
public sealed partial class CudaBackend : Backend
{
    private readonly ElementType _real = ElementType.F32;
    private readonly KernelLibrary _library = new();

    /// <inheritdoc/>
    public override string Name => "cuda";

    /// <inheritdoc/>
    public override ElementType ActivationType => _real;

    /// <summary>The entry point of a variant; loaded, or compiled, on first use.</summary>
    /// <param name="entry">The entry point.</param>
    /// <param name="file">The .cu file, without extension.</param>
    /// <param name="real">Storage type.</param>
    /// <param name="options">Further definitions, as the catalog lists them.</param>
    internal CudaKernel Kernel(string entry, string file, ElementType real, string options = "") => _library.Get(entry, new KernelVariant(file, real, options));

    internal static int DivideUp(int count, int size) => (count + size - 1) / size;
}
