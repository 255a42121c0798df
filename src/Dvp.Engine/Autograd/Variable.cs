using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

/// <summary>An activation of a <see cref="Graph"/>: its value, and the place of its gradient where one is needed.</summary>
public sealed class Variable
{
    internal Variable(Tensor value, bool needsGradient)
    {
        Value = value;
        NeedsGradient = needsGradient;
    }

    /// <summary>The value; its address stays the same from run to run.</summary>
    public Tensor Value { get; }

    /// <summary>Whether a trainable parameter lies below: only then is a gradient computed.</summary>
    public bool NeedsGradient { get; }

    /// <summary>The gradient of the loss, once <see cref="Graph.Backward"/> has laid out the backward pass; null if none reaches the variable.</summary>
    public Tensor? Gradient => Slot?.Tensor;

    internal GradientSlot? Slot { get; set; }

    /// <summary>Where the gradient is kept: the memory of a layer that is computed again, or null for the graph's arena.</summary>
    internal Arena? GradientHome { get; set; }
}

/// <summary>Memory of a gradient. A sum hands the same gradient to both of its terms, so a slot may serve two variables until one adds to it.</summary>
internal sealed class GradientSlot(Tensor tensor)
{
    public Tensor Tensor { get; } = tensor;

    /// <summary>Variables that still have to read the gradient in this slot.</summary>
    public int Readers { get; set; } = 1;
}
