using Dvp.Engine.Tensors;

namespace Dvp.Engine.Nn;

/// <summary>A named parameter: a whole block, or some rows of one that several parameters share.</summary>
public sealed class Parameter
{
    internal Parameter(string name, ParameterBlock block, Tensor value, Tensor? gradient)
    {
        Name = name;
        Block = block;
        Value = value;
        Gradient = gradient;
    }

    /// <summary>The name in the checkpoint, such as <c>encoder.layer.0.attention.self.query.weight</c>.</summary>
    public string Name { get; }

    /// <summary>The block that operators read.</summary>
    public ParameterBlock Block { get; }

    /// <summary>The values.</summary>
    public Tensor Value { get; }

    /// <summary>The accumulated gradient; null when frozen.</summary>
    public Tensor? Gradient { get; }

    /// <summary>Whether training changes the parameter.</summary>
    public bool Trains => Gradient is not null;
}
