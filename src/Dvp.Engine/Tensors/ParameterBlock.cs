namespace Dvp.Engine.Tensors;

/// <summary>
/// One allocation that holds a parameter, or several that one matrix product reads together (query, key and value of an
/// attention: their rows follow one another, so the three products are one).
/// </summary>
public sealed class ParameterBlock
{
    /// <summary>Makes a block.</summary>
    /// <param name="value">(N, K) a weight in (out, in) layout, or (N) a vector.</param>
    /// <param name="gradient">As <paramref name="value"/> in the accumulation type, or null when the block is frozen.</param>
    public ParameterBlock(Tensor value, Tensor? gradient)
    {
        Value = value;
        Gradient = gradient;
    }

    /// <summary>The values.</summary>
    public Tensor Value { get; }

    /// <summary>The accumulated gradient; null when frozen.</summary>
    public Tensor? Gradient { get; }

    /// <summary>Whether training changes the block.</summary>
    public bool Trains => Gradient is not null;

    /// <summary>Counts changes of the values; whoever writes them calls <see cref="Touch"/>, so that a device's own form of the weight is renewed.</summary>
    public int Version { get; private set; }

    /// <summary>The device's own form of the weight (panels for the CPU's matrix product), kept by the backend.</summary>
    public IDisposable? DeviceForm { get; set; }

    /// <summary>Notes that the values changed.</summary>
    public void Touch() => Version++;
}
