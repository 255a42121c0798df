using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

/// <summary>The residual stream of pre-norm models, which is wider than the activations of a 16-bit device.</summary>
internal static partial class OpScenarios
{
    private static IEnumerable<OpScenario> Streams()
    {
        foreach (int columns in (int[])[5, 33, 64, 257, 768])
        {
            yield return new($"stream 19x{columns}, layer norm", b => NormOfStream(b, layer: true, 19, columns));
            yield return new($"stream 19x{columns}, RMS norm", b => NormOfStream(b, layer: false, 19, columns));
            yield return new($"stream 19x{columns}, copy, add, dropout", b => MixTypes(b, 19, columns));
        }

        foreach ((int rows, int inputs, int outputs) in ((int, int, int)[])[(1, 257, 65), (17, 64, 33), (70, 31, 200), (33, 384, 384)])
        {
            yield return new($"linear {rows}x{inputs}x{outputs} into a stream", b => LinearIntoStream(b, rows, inputs, outputs));
        }

        yield return new("prompt into a stream", b => InsertIntoStream(b, 3, 2, 7, 33));
    }

    private static Tensor StreamOutput(OpBench b, params ReadOnlySpan<int> shape) => b.Statistic(shape);

    private static Tensor StreamInput(OpBench b, string name, params ReadOnlySpan<int> shape) =>
        b.Input(name, shape, type: b.Device.StreamType);

    private static void NormOfStream(OpBench b, bool layer, int rows, int columns)
    {
        Tensor x = StreamInput(b, "x", rows, columns);
        (ParameterBlock gamma, ParameterBlock beta) = (b.Parameter("gamma", [columns]), b.Parameter("beta", [columns]));
        NormState saved = new(x, layer ? b.Statistic(rows) : null, b.Statistic(rows));
        (Tensor y, Tensor dy) = (b.Output([rows, columns]), b.Input("dy", [rows, columns]));
        (Tensor ds, Tensor added) = (StreamOutput(b, rows, columns), b.Lasting(b.Random("added", rows * columns), rows, columns));
        if (layer)
        {
            b.Run(d => d.LayerNormForward(saved, y, x, null, gamma, beta, 1e-5f));
            b.Run(d => d.LayerNormBackward(ds, dy, saved, gamma, accumulate: false));
            b.Run(d => d.LayerNormBackward(added, dy, saved, gamma, accumulate: true));
            b.Run(d => d.LayerNormBackwardParameters(gamma.Gradient!, beta.Gradient!, dy, saved));
            b.Result("dbeta", beta.Gradient!);
        }
        else
        {
            b.Run(d => d.RmsNormForward(saved, y, x, null, gamma, 1e-6f));
            b.Run(d => d.RmsNormBackward(ds, dy, saved, gamma, accumulate: false));
            b.Run(d => d.RmsNormBackward(added, dy, saved, gamma, accumulate: true));
            b.Run(d => d.RmsNormBackwardParameters(gamma.Gradient!, dy, saved));
        }

        b.Result("y", y);
        b.Result("ds", ds);
        b.Result("ds added", added);
        b.Result("dgamma", gamma.Gradient!);
    }

    /// <summary>Between the two types, in both directions.</summary>
    private static void MixTypes(OpBench b, int rows, int columns)
    {
        (Tensor wide, Tensor narrow) = (StreamInput(b, "wide", rows, columns), b.Input("narrow", [rows, columns], gap: 3));
        (Tensor widened, Tensor narrowed) = (StreamOutput(b, rows, columns), b.Output([rows, columns], gap: 1));
        Tensor wideSum = b.Lasting(b.Random("wide sum", rows * columns), rows, columns);
        Tensor narrowSum = b.InOut("narrow sum", [rows, columns]);
        (Tensor dropped, Tensor droppedBack) = (StreamOutput(b, rows, columns), b.Output([rows, columns]));
        Dropout dropout = new(0.3f, 5, DropoutState(b));
        b.Run(d => d.Copy(widened, narrow));
        b.Run(d => d.Copy(narrowed, wide));
        b.Run(d => d.Add(wideSum, narrow));
        b.Run(d => d.Add(narrowSum, wide));
        b.Run(d => d.DropoutApply(dropped, wide, dropout, accumulate: false));
        b.Run(d => d.DropoutApply(droppedBack, wide, dropout, accumulate: false));
        b.Result("widened", widened);
        b.Result("narrowed", narrowed);
        b.Result("wide sum", wideSum);
        b.Result("narrow sum", narrowSum);
        b.Result("dropped", dropped);
        b.Result("dropped into activations", droppedBack);
    }

    /// <summary>h + x W^T + b, and back with the stream's gradient.</summary>
    private static void LinearIntoStream(OpBench b, int rows, int inputs, int outputs)
    {
        (Tensor x, Tensor residual) = (b.Input("x", [rows, inputs]), StreamInput(b, "residual", rows, outputs));
        (ParameterBlock weight, ParameterBlock bias) = (b.Parameter("weight", [outputs, inputs]), b.Parameter("bias", [outputs]));
        (Tensor y, Tensor dy) = (StreamOutput(b, rows, outputs), StreamInput(b, "dy", rows, outputs));
        Tensor dx = b.Output([rows, inputs]);
        b.Run(d => d.LinearForward(y, null, x, weight, bias, Activation.None, residual));
        b.Run(d => d.LinearBackwardInput(dx, dy, weight, accumulate: false));
        b.Run(d => d.LinearBackwardParameters(weight.Gradient!, bias.Gradient, dy, x));
        b.Result("y", y);
        b.Result("dx", dx);
        b.Result("dweight", weight.Gradient!);
        b.Result("dbias", bias.Gradient!);
    }

    private static void InsertIntoStream(OpBench b, int batch, int prompts, int tokens, int channels)
    {
        (Tensor prompt, Tensor text) = (StreamInput(b, "prompt", batch, prompts, channels), StreamInput(b, "text", batch, tokens, channels));
        ParameterBlock types = b.Parameter("types", [2, channels]);
        (Tensor y, Tensor dy) = (
            StreamOutput(b, batch, prompts + tokens, channels), StreamInput(b, "dy", batch, prompts + tokens, channels));
        (Tensor dprompt, Tensor dtext) = (StreamOutput(b, prompt.Shape), StreamOutput(b, text.Shape));
        b.Run(d => d.InsertPromptForward(y, prompt, text, types));
        b.Run(d => d.InsertPromptBackward(dprompt, dtext, types.Gradient, dy, accumulateText: false));
        b.Result("y", y);
        b.Result("dprompt", dprompt);
        b.Result("dtext", dtext);
        b.Result("dtypes", types.Gradient!);
    }
}
