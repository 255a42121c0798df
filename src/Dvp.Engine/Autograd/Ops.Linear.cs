using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

/// <summary>The operators of a graph, one family a file, forward and backward together.</summary>
public static partial class Ops
{
    /// <summary>y = activation(x W^T + b) + residual.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="x">(..., in)</param>
    /// <param name="weight">(out, in)</param>
    /// <param name="bias">(out); or null</param>
    /// <param name="activation">The activation.</param>
    /// <param name="residual">(..., out); or null</param>
    /// <returns>(..., out), of the residual's type where there is one: the product goes into the residual stream</returns>
    /// <exception cref="ArgumentException">The bias trains and the weight does not.</exception>
    public static Variable Linear(
        this Graph graph, Variable x, ParameterBlock weight, ParameterBlock? bias, Activation activation = Activation.None, Variable? residual = null)
    {
        if (bias is { Trains: true } && !weight.Trains)
        {
            throw new ArgumentException("A bias trains only together with its weight.", nameof(bias));
        }

        Backend backend = graph.Backend;
        int[] shape = [.. x.Value.Shape];
        shape[^1] = weight.Value.Extent(0);
        bool passes = residual is { NeedsGradient: true };
        ElementType type = residual?.Value.Type ?? graph.Backend.ActivationType;
        Variable y = graph.Result(type, x.NeedsGradient || weight.Trains || bias is { Trains: true } || passes, shape);
        Tensor? pre = y.NeedsGradient && activation != Activation.None ? graph.Save(shape) : null;
        graph.Forward(() => backend.LinearForward(y.Value, pre, x.Value, weight, bias, activation, residual?.Value));

        graph.OnBackward(y, () =>
        {
            Tensor dy = y.Gradient!;
            if (passes)
            {
                graph.PassGradient(residual!, dy);
            }

            if (pre is not null)
            {
                // In place where nobody else reads this gradient.
                Tensor above = dy;
                dy = y.Slot!.Readers > 1 ? graph.Save(shape) : above;
                graph.BackwardStep(() => backend.ActivationBackward(dy, above, pre, activation));
            }

            if (weight.Trains)
            {
                graph.Trains(weight, bias);
                graph.BackwardStep(() => backend.LinearBackwardParameters(weight.Gradient!, bias?.Gradient, dy, x.Value)); // +=
            }

            if (x.NeedsGradient)
            {
                (Tensor dx, bool accumulate) = graph.GradientOf(x);
                graph.BackwardStep(() => backend.LinearBackwardInput(dx, dy, weight, accumulate));
            }
        });
        return y;
    }

    /// <summary>y = activation(x).</summary>
    public static Variable Activate(this Graph graph, Variable x, Activation activation)
    {
        Backend backend = graph.Backend;
        Variable y = graph.Result(x.NeedsGradient, x.Value.Shape);
        graph.Forward(() => backend.ActivationForward(y.Value, x.Value, activation));
        graph.OnBackward(y, () =>
        {
            Tensor dx = graph.FirstGradientOf(x);
            graph.BackwardStep(() => backend.ActivationBackward(dx, y.Gradient!, x.Value, activation));
        });
        return y;
    }

    /// <summary>y = x + up(activation(down(x))), DVP's adapter.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="x">(..., C)</param>
    /// <param name="adapter">The parameters.</param>
    /// <returns>(..., C)</returns>
    public static Variable Adapter(this Graph graph, Variable x, AdapterParameters adapter)
    {
        Backend backend = graph.Backend;
        int[] inner = [.. x.Value.Shape];
        inner[^1] = adapter.Down.Value.Extent(0);
        Variable y = graph.Result(x.NeedsGradient || adapter.Down.Trains, x.Value.Shape);
        Tensor pre = graph.Save(inner);
        Tensor hidden = graph.Save(inner);
        graph.Forward(() => backend.AdapterForward(y.Value, pre, hidden, x.Value, adapter));

        graph.OnBackward(y, () =>
        {
            Tensor dy = y.Gradient!;
            Tensor dhidden = graph.Allocate(backend.ActivationType, inner);
            Tensor? dx = null;
            if (x.NeedsGradient)
            {
                (dx, bool accumulate) = graph.GradientOf(x);
                if (accumulate)
                {
                    throw new InvalidOperationException("An adapter must be the first to write its input's gradient.");
                }
            }

            graph.Trains(adapter.Down, adapter.DownBias, adapter.Up, adapter.UpBias);
            graph.BackwardStep(() => backend.AdapterBackward(dx, dhidden, dy, x.Value, pre, hidden, adapter));
        });
        return y;
    }
}
