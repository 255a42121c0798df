using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

public static partial class Ops
{
    /// <summary>y = activation(gate) * up, from one product with both side by side: the feed-forward of T5 v1.1 and LLaMA.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="gateUp">(..., 2 F) the gate first</param>
    /// <param name="activation">The activation of the gate.</param>
    /// <returns>(..., F)</returns>
    public static Variable Gated(this Graph graph, Variable gateUp, Activation activation)
    {
        Backend backend = graph.Backend;
        int[] shape = [.. gateUp.Value.Shape];
        shape[^1] /= 2;
        int inner = shape[^1];
        (Tensor gate, Tensor up) = (gateUp.Value.SliceColumns(0, inner), gateUp.Value.SliceColumns(inner, inner));
        Variable y = graph.Result(gateUp.NeedsGradient, shape);
        graph.Forward(() => backend.GatedForward(y.Value, gate, up, activation));
        graph.OnBackward(y, () =>
        {
            Tensor d = graph.FirstGradientOf(gateUp);
            (Tensor dgate, Tensor dup) = (d.SliceColumns(0, inner), d.SliceColumns(inner, inner));
            graph.BackwardStep(() => backend.GatedBackward(dgate, dup, y.Gradient!, gate, up, activation));
        });
        return y;
    }

    /// <summary>y = factor * x: T5's output states before the tied embedding.</summary>
    public static Variable Scale(this Graph graph, Variable x, float factor)
    {
        // A product of two tensors, one of them constant: the gated operator without an activation.
        Backend backend = graph.Backend;
        Variable y = graph.Result(x.NeedsGradient, x.Value.Shape);
        Tensor factors = graph.Save(x.Value.Shape);
        graph.Forward(() =>
        {
            backend.Fill(factors, factor);
            backend.GatedForward(y.Value, x.Value, factors, Activation.None);
        });
        graph.OnBackward(y, () =>
        {
            Tensor dx = graph.FirstGradientOf(x);
            graph.BackwardStep(() => backend.GatedForward(dx, y.Gradient!, factors, Activation.None));
        });
        return y;
    }

    /// <summary>bias (H, Tq, Tk) = weight[bucket(key - query)]: T5's relative positions, made once for all layers of a stack.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="weight">(buckets, H)</param>
    /// <param name="queries">Tq</param>
    /// <param name="keys">Tk</param>
    /// <param name="bidirectional">Encoder: half of the buckets for each direction.</param>
    /// <param name="maxDistance">Distance from which on all share the last bucket.</param>
    public static Variable RelativeBias(
        this Graph graph, ParameterBlock weight, int queries, int keys, bool bidirectional, int maxDistance)
    {
        Backend backend = graph.Backend;
        Variable y = graph.Result(weight.Trains, weight.Value.Columns, queries, keys);
        graph.Forward(() => backend.RelativeBiasForward(y.Value, weight, bidirectional, maxDistance));
        graph.OnBackward(y, () =>
        {
            graph.Trains(weight);
            graph.BackwardStep(() => backend.RelativeBiasBackward(weight.Gradient!, y.Gradient!, bidirectional, maxDistance)); // +=
        });
        return y;
    }

    /// <summary>A residual stream as activations, for a product that reads it: x itself where the stream is not wider.</summary>
    public static Variable Narrow(this Graph graph, Variable x)
    {
        Backend backend = graph.Backend;
        if (x.Value.Type == backend.ActivationType)
        {
            return x;
        }

        Variable y = graph.Result(x.NeedsGradient, x.Value.Shape);
        graph.Forward(() => backend.Copy(y.Value, x.Value));
        graph.OnBackward(y, () => graph.PassGradient(x, y.Gradient!));
        return y;
    }

    /// <summary>The same values in contiguous memory, for operators that need them so.</summary>
    public static Variable Contiguous(this Graph graph, Variable x)
    {
        if (x.Value.IsContiguous)
        {
            return x;
        }

        Backend backend = graph.Backend;
        Variable y = graph.Result(x.NeedsGradient, x.Value.Shape);
        graph.Forward(() => backend.Copy(y.Value, x.Value));
        graph.OnBackward(y, () => graph.PassGradient(x, y.Gradient!));
        return y;
    }
}
