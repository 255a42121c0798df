namespace Dvp.Profiling;

/// <summary>
/// Adds up ops in the order of execution, and knows as autograd does which gradients a training step needs: that of a weight where it
/// trains, that of an input where something before it trains.
/// </summary>
internal sealed class FlopsCounter(int weightBytes, int activationBytes, bool training)
{
    private const int GradientBytes = 4; // parameter gradients, moments and trained values are single precision

    private readonly List<(FlopsPart Part, string Op)> _order = [];
    private readonly Dictionary<(FlopsPart, string), FlopsRow> _rows = [];

    internal IReadOnlyList<FlopsRow> Rows => [.. _order.Select(key => _rows[key])];

    /// <summary>y (rows, outputs) = x (rows, inputs) W^T + b, activation and residual in the same pass.</summary>
    /// <param name="part">The part.</param>
    /// <param name="op">Name of the op.</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="inputs">Columns of x.</param>
    /// <param name="outputs">Columns of y.</param>
    /// <param name="trains">Whether W and b train.</param>
    /// <param name="flows">Whether the gradient of x is needed.</param>
    /// <returns>Whether the gradient of y is needed.</returns>
    internal bool Linear(FlopsPart part, string op, long rows, long inputs, long outputs, bool trains, bool flows) =>
        WeightedProduct(part, op, 2 * rows * inputs * outputs, rows * (inputs + outputs), (inputs * outputs) + outputs, trains, flows);

    /// <summary>A product with weights, by its sizes.</summary>
    /// <param name="part">The part.</param>
    /// <param name="op">Name of the op.</param>
    /// <param name="flops">Of the forward pass.</param>
    /// <param name="elements">Activations read and written.</param>
    /// <param name="weights">Weights and biases.</param>
    /// <param name="trains">Whether they train.</param>
    /// <param name="flows">Whether the gradient of the input is needed.</param>
    /// <returns>Whether the gradient of the output is needed.</returns>
    internal bool WeightedProduct(FlopsPart part, string op, long flops, long elements, long weights, bool trains, bool flows)
    {
        long activations = elements * activationBytes;
        long backward = 0;
        long backwardBytes = 0;
        if (training && flows)
        {
            backward += flops;
            backwardBytes += activations + (weights * weightBytes);
        }

        if (training && trains)
        {
            backward += flops;
            backwardBytes += activations + (2 * weights * GradientBytes);
        }

        Add(part, op, flops, activations + (weights * weightBytes), backward, backwardBytes, weights, trains ? weights : 0);
        return flows || trains;
    }

    /// <summary>A product without weights, such as scores and weighted sum of an attention.</summary>
    /// <param name="part">The part.</param>
    /// <param name="op">Name of the op.</param>
    /// <param name="flops">Of the forward pass.</param>
    /// <param name="elements">Read and written forward.</param>
    /// <param name="gradientShare">Backward FLOPs over forward ones: 2 where both operands of each product want a gradient.</param>
    /// <param name="backwardElements">Read and written backward.</param>
    internal void Product(FlopsPart part, string op, long flops, long elements, int gradientShare, long backwardElements) => Add(
        part, op, flops, elements * activationBytes,
        training ? gradientShare * flops : 0,
        training && gradientShare > 0 ? backwardElements * activationBytes : 0,
        0, 0);

    /// <summary>Element-wise work or a copy: bytes, no FLOPs.</summary>
    /// <param name="part">The part.</param>
    /// <param name="op">Name of the op.</param>
    /// <param name="elements">Read and written forward.</param>
    /// <param name="weights">Weights of the op that are read.</param>
    /// <param name="trains">Whether they train.</param>
    /// <param name="flows">Whether the gradient of the input is needed.</param>
    internal bool Elementwise(FlopsPart part, string op, long elements, long weights, bool trains, bool flows)
    {
        long bytes = (elements * activationBytes) + (weights * weightBytes);
        bool backward = training && (flows || trains);
        Add(part, op, 0, bytes, 0, backward ? bytes + (trains ? 2 * weights * GradientBytes : 0) : 0, weights, trains ? weights : 0);
        return flows || trains;
    }

    /// <summary>Rows of a table: bytes of those rows only, but all of the table is a parameter.</summary>
    /// <param name="part">The part.</param>
    /// <param name="op">Name of the op.</param>
    /// <param name="elements">Read and written forward.</param>
    /// <param name="weights">Size of the tables.</param>
    /// <param name="trains">Whether they train.</param>
    internal bool Lookup(FlopsPart part, string op, long elements, long weights, bool trains)
    {
        long bytes = elements * activationBytes;
        Add(part, op, 0, bytes, 0, training && trains ? bytes : 0, weights, trains ? weights : 0);
        return trains;
    }

    /// <summary>AdamW over all that trains: value, gradient and two moments read, three of them written.</summary>
    internal void Optimizer()
    {
        long trained = _rows.Values.Sum(r => r.TrainedParameters);
        if (training && trained > 0)
        {
            Add(FlopsPart.Optimizer, "AdamW", 0, 0, 0, 7 * trained * GradientBytes, 0, 0);
        }
    }

    private void Add(FlopsPart part, string op, long flops, long bytes, long backward, long backwardBytes, long weights, long trained)
    {
        if (_rows.TryGetValue((part, op), out FlopsRow? row))
        {
            _rows[(part, op)] = row with
            {
                Count = row.Count + 1,
                ForwardFlops = row.ForwardFlops + flops,
                ForwardBytes = row.ForwardBytes + bytes,
                BackwardFlops = row.BackwardFlops + backward,
                BackwardBytes = row.BackwardBytes + backwardBytes,
                Parameters = row.Parameters + weights,
                TrainedParameters = row.TrainedParameters + trained,
            };
        }
        else
        {
            _order.Add((part, op));
            _rows.Add((part, op), new FlopsRow(part, op, 1, flops, bytes, backward, backwardBytes, weights, trained));
        }
    }
}
