using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

/// <summary>
/// Memory of one layer at a time of a training step, which the layers of a <see cref="Graph"/> use in turn: activations and gradients of
/// a step then grow by one result a layer, for the price of a second forward pass of all layers but the last.
/// </summary>
/// <remarks>Graphs may share it as they share an arena: one runs at a time.</remarks>
public sealed class LayerMemory : IDisposable
{
    /// <summary>Makes an empty memory; it grows to the largest layer.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="chunkBytes">Smallest amount asked of the device at a time.</param>
    public LayerMemory(Backend backend, long chunkBytes = 4L << 20)
    {
        Activations = new Arena(backend, chunkBytes);
        Gradients = new Arena(backend, chunkBytes);
    }

    /// <summary>Bytes held on the device.</summary>
    public long CapacityBytes => Activations.CapacityBytes + Gradients.CapacityBytes;

    internal Arena Activations { get; }

    internal Arena Gradients { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Activations.Dispose();
        Gradients.Dispose();
    }
}
