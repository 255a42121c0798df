using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

public static partial class Ops
{
    /// <summary>y = layernorm(x + residual) gamma + beta over the last axis.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="x">(..., C)</param>
    /// <param name="residual">as x; or null</param>
    /// <param name="gamma">(C)</param>
    /// <param name="beta">(C)</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <exception cref="ArgumentException">Only one of gamma and beta trains.</exception>
    public static Variable LayerNorm(this Graph graph, Variable x, Variable? residual, ParameterBlock gamma, ParameterBlock beta, float epsilon)
    {
        if (gamma.Trains != beta.Trains)
        {
            throw new ArgumentException("Gamma and beta of a norm train together or not at all.", nameof(gamma));
        }

        Backend backend = graph.Backend;
        Variable y = graph.Result(x.NeedsGradient || residual is { NeedsGradient: true } || gamma.Trains, x.Value.Shape);
        NormState saved = new(
            residual is null ? x.Value : graph.Allocate(Sum(x, residual), x.Value.Shape),
            graph.SaveStatistics(x.Value.Rows), graph.SaveStatistics(x.Value.Rows));
        graph.Forward(() => backend.LayerNormForward(saved, y.Value, x.Value, residual?.Value, gamma, beta, epsilon));

        graph.OnBackward(y, () =>
        {
            Tensor dy = y.Gradient!;
            if (gamma.Trains)
            {
                graph.Trains(gamma, beta);
                graph.BackwardStep(() => backend.LayerNormBackwardParameters(gamma.Gradient!, beta.Gradient!, dy, saved)); // +=
            }

            graph.BackwardOfSum(x, residual, (ds, accumulate) =>
                graph.BackwardStep(() => backend.LayerNormBackward(ds, dy, saved, gamma, accumulate)));
        });
        return y;
    }

    /// <summary>The sum s = x + residual and y = rmsnorm(s) gamma; pre-norm models go on with both.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="x">(..., C)</param>
    /// <param name="gamma">(C)</param>
    /// <param name="epsilon">Added to the mean square.</param>
    public static Variable RmsNorm(this Graph graph, Variable x, ParameterBlock gamma, float epsilon)
    {
        Backend backend = graph.Backend;
        Variable y = graph.Result(x.NeedsGradient || gamma.Trains, x.Value.Shape);
        NormState saved = new(x.Value, null, graph.SaveStatistics(x.Value.Rows));
        graph.Forward(() => backend.RmsNormForward(saved, y.Value, x.Value, null, gamma, epsilon));

        graph.OnBackward(y, () =>
        {
            Tensor dy = y.Gradient!;
            if (gamma.Trains)
            {
                graph.Trains(gamma);
                graph.BackwardStep(() => backend.RmsNormBackwardParameters(gamma.Gradient!, dy, saved)); // +=
            }

            if (x.NeedsGradient)
            {
                (Tensor dx, bool accumulate) = graph.GradientOf(x);
                graph.BackwardStep(() => backend.RmsNormBackward(dx, dy, saved, gamma, accumulate));
            }
        });
        return y;
    }

    /// <summary>
    /// x as a residual stream, to which the layers of a pre-norm model add: x itself where activations are that wide, else a copy in
    /// <see cref="Backend.StreamType"/>.
    /// </summary>
    public static Variable Stream(this Graph graph, Variable x)
    {
        Backend backend = graph.Backend;
        if (x.Value.Type == backend.StreamType)
        {
            return x;
        }

        Variable y = graph.Result(backend.StreamType, x.NeedsGradient, x.Value.Shape);
        graph.Forward(() => backend.Copy(y.Value, x.Value));
        graph.OnBackward(y, () => graph.PassGradient(x, y.Gradient!));
        return y;
    }

    /// <summary>y = x + z, of the type of the residual stream where one of them is it.</summary>
    public static Variable Add(this Graph graph, Variable x, Variable z)
    {
        Backend backend = graph.Backend;
        Variable y = graph.Result(Sum(x, z), x.NeedsGradient || z.NeedsGradient, x.Value.Shape);
        graph.Forward(() =>
        {
            backend.Copy(y.Value, x.Value);
            backend.Add(y.Value, z.Value);
        });
        graph.OnBackward(y, () => graph.BackwardOfSum(x, z, (ds, accumulate) => graph.BackwardStep(() =>
        {
            if (accumulate)
            {
                backend.Add(ds, y.Gradient!);
            }
            else
            {
                backend.Copy(ds, y.Gradient!);
            }
        })));
        return y;
    }

    /// <summary>Type of a sum: a wider term is the residual stream and stays one.</summary>
    private static ElementType Sum(Variable x, Variable z) => x.Value.Type.Size() >= z.Value.Type.Size() ? x.Value.Type : z.Value.Type;

    /// <summary>y = dropout(x) at a new site of the graph's stream; x itself when the graph drops nothing.</summary>
    public static Variable Dropout(this Graph graph, Variable x, float rate)
    {
        if (graph.NewDropout(rate) is not { } dropout)
        {
            return x;
        }

        Backend backend = graph.Backend;
        Variable y = graph.Result(x.Value.Type, x.NeedsGradient, x.Value.Shape);
        graph.Forward(() => backend.DropoutApply(y.Value, x.Value, dropout, accumulate: false));
        graph.OnBackward(y, () =>
        {
            (Tensor dx, bool accumulate) = graph.GradientOf(x);
            graph.BackwardStep(() => backend.DropoutApply(dx, y.Gradient!, dropout, accumulate));
        });
        return y;
    }

    /// <summary>The dropout of a new site, or null when the graph drops nothing.</summary>
    internal static Dropout? NewDropout(this Graph graph, float rate) =>
        graph.DropoutState is { } state && rate > 0 ? new Dropout(rate, graph.NextDropoutSite(), state) : null;
}
