namespace Dvp.Engine.Devices.Cuda;

/// <summary>The kernels of one device: looks variants up, loads or compiles them on first use and keeps them.</summary>
internal sealed class KernelLibrary
{
    private readonly Dictionary<(string Entry, KernelVariant Variant), CudaKernel> _kernels = [];

    /// <summary>The entry point of a variant.</summary>
    public CudaKernel Get(string entry, KernelVariant variant) =>
        _kernels.TryGetValue((entry, variant), out CudaKernel? kernel) ? kernel : throw new InvalidOperationException($"{entry} is not loaded.");
}
