using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class GoldenOps
{
    private static void LayerNorm(GoldenCase c)
    {
        Tensor x = c.Input("x");
        Tensor? residual = c.Has("residual") ? c.Input("residual") : null;
        (ParameterBlock gamma, ParameterBlock beta) = (c.Parameter("weight"), c.Parameter("bias"));
        NormState saved = State(c, residual is null ? x : c.OutputLike("x"), hasMean: true);
        Tensor y = c.OutputLike("x");
        c.Device.LayerNormForward(saved, y, x, residual, gamma, beta, c.Single("eps"));
        c.Result("output", y);

        Tensor dy = c.Input("output_gradient");
        (Tensor ds, bool accumulate) = SumGradient(c);
        c.Device.LayerNormBackward(ds, dy, saved, gamma, accumulate);
        c.Device.LayerNormBackwardParameters(gamma.Gradient!, beta.Gradient!, dy, saved);
        c.Gradient("weight", gamma);
        c.Gradient("bias", beta);
        SumResults(c, saved, ds, residual);
    }

    private static void RmsNorm(GoldenCase c)
    {
        Tensor x = c.Input("x");
        Tensor? residual = c.Has("residual") ? c.Input("residual") : null;
        ParameterBlock gamma = c.Parameter("weight");
        NormState saved = State(c, residual is null ? x : c.OutputLike("x"), hasMean: false);
        Tensor y = c.OutputLike("x");
        c.Device.RmsNormForward(saved, y, x, residual, gamma, c.Single("eps"));
        c.Result("output", y);

        Tensor dy = c.Input("output_gradient");
        (Tensor ds, bool accumulate) = SumGradient(c);
        c.Device.RmsNormBackward(ds, dy, saved, gamma, accumulate);
        c.Device.RmsNormBackwardParameters(gamma.Gradient!, dy, saved);
        c.Gradient("weight", gamma);
        SumResults(c, saved, ds, residual);
    }

    /// <summary>Where the sum has a gradient of its own, the norm's is added to it.</summary>
    private static (Tensor Gradient, bool Accumulate) SumGradient(GoldenCase c) => c.Has("sum_gradient")
        ? (c.Bench.InOut(c.Values("sum_gradient"), c.Shape("sum_gradient")), true)
        : (c.OutputLike("x"), false);

    private static void SumResults(GoldenCase c, NormState saved, Tensor ds, Tensor? residual)
    {
        c.Result("gradients.x", ds);
        if (residual is not null)
        {
            c.Result("sum", saved.Sum);
            c.Result("gradients.residual", ds);
        }
    }

    private static NormState State(GoldenCase c, Tensor sum, bool hasMean) =>
        new(sum, hasMean ? c.Bench.Statistic(sum.Rows) : null, c.Bench.Statistic(sum.Rows));
}
