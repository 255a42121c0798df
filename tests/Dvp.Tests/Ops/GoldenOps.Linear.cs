using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class GoldenOps
{
    private static void Linear(GoldenCase c)
    {
        Tensor x = c.Input("x");
        ParameterBlock weight = c.Parameter("weight");
        ParameterBlock? bias = c.OptionalParameter("bias");
        Tensor? residual = c.Has("residual") ? c.Input("residual") : null;
        Tensor y = c.OutputLike("output_gradient");
        Tensor? preActivation = c.Activation == Activation.None ? null : c.OutputLike("output_gradient");
        c.Device.LinearForward(y, preActivation, x, weight, bias, c.Activation, residual);
        c.Result("output", y);

        Tensor dy = c.Input("output_gradient");
        if (preActivation is not null)
        {
            c.Result("pre_activation", preActivation);
            Tensor dpre = c.OutputLike("output_gradient");
            c.Device.ActivationBackward(dpre, dy, preActivation, c.Activation);
            dy = dpre;
        }

        Tensor dx = c.OutputLike("x");
        c.Device.LinearBackwardInput(dx, dy, weight, accumulate: false);
        c.Device.LinearBackwardParameters(weight.Gradient!, bias?.Gradient, dy, x);
        c.Result("gradients.x", dx);
        c.Gradient("weight", weight);
        if (bias is not null)
        {
            c.Gradient("bias", bias);
        }

        if (residual is not null)
        {
            Tensor dresidual = c.OutputLike("residual");
            c.Device.Copy(dresidual, c.Input("output_gradient"));
            c.Result("gradients.residual", dresidual);
        }
    }

    private static void Adapter(GoldenCase c)
    {
        Tensor x = c.Input("x");
        AdapterParameters adapter = new(
            c.Parameter("down.weight"), c.Parameter("down.bias"), c.Parameter("up.weight"), c.Parameter("up.bias"), c.Activation);
        int[] narrow = [.. c.Shape("x")[..^1], adapter.Down.Value.Rows];
        (Tensor preActivation, Tensor hidden) = (c.Bench.Output(narrow), c.Bench.Output(narrow));
        Tensor y = c.OutputLike("x");
        c.Device.AdapterForward(y, preActivation, hidden, x, adapter);
        c.Result("adapter", y);

        Tensor dy = AfterAdapter(c, y);
        (Tensor dx, Tensor dhidden) = (c.OutputLike("x"), c.Bench.Output(narrow));
        c.Device.AdapterBackward(dx, dhidden, dy, x, preActivation, hidden, adapter);
        c.Result("gradients.x", dx);
        c.Gradient("down.weight", adapter.Down);
        c.Gradient("down.bias", adapter.DownBias);
        c.Gradient("up.weight", adapter.Up);
        c.Gradient("up.bias", adapter.UpBias);
    }

    /// <summary>The residual and norm that follow the adapter in some cases; the gradient that arrives at the adapter.</summary>
    private static Tensor AfterAdapter(GoldenCase c, Tensor y)
    {
        Tensor dy = c.Input("output_gradient");
        if (!c.Has("residual"))
        {
            c.Result("output", y);
            return dy;
        }

        Tensor residual = c.Input("residual");
        Tensor sum = c.OutputLike("x");
        if (!c.HasAttribute("norm"))
        {
            c.Device.Copy(sum, y);
            c.Device.Add(sum, residual);
            c.Result("sum", sum);
            c.Result("output", sum);
            c.Result("gradients.residual", dy);
            return dy;
        }

        ParameterBlock gamma = c.Parameter("norm.weight");
        ParameterBlock? beta = c.OptionalParameter("norm.bias");
        Tensor ds = c.OutputLike("x");
        NormState saved = State(c, sum, hasMean: beta is not null);
        Tensor output = c.OutputLike("x");
        if (beta is not null)
        {
            c.Device.LayerNormForward(saved, output, y, residual, gamma, beta, c.Single("eps"));
            c.Device.LayerNormBackward(ds, dy, saved, gamma, accumulate: false);
            c.Device.LayerNormBackwardParameters(gamma.Gradient!, beta.Gradient!, dy, saved);
            c.Gradient("norm.bias", beta);
        }
        else
        {
            c.Device.RmsNormForward(saved, output, y, residual, gamma, c.Single("eps"));
            c.Device.RmsNormBackward(ds, dy, saved, gamma, accumulate: false);
            c.Device.RmsNormBackwardParameters(gamma.Gradient!, dy, saved);
        }

        c.Result("sum", sum);
        c.Result("output", output);
        c.Result("gradients.residual", ds);
        c.Gradient("norm.weight", gamma);
        return ds;
    }
}
