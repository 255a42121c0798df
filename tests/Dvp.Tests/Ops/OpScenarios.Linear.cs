using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class OpScenarios
{
    private static IEnumerable<OpScenario> Linears()
    {
        // Every ragged size meets every operand, with the other two sizes, activation, residual and gap going round.
        Activation[] activations = Enum.GetValues<Activation>();
        int turn = 0;
        foreach (int size in s_raggedSizes)
        {
            foreach (int operand in (int[])[0, 1, 2])
            {
                int[] sizes = [s_raggedSizes[(turn + 2) % 9], s_raggedSizes[(turn + 5) % 9], s_raggedSizes[(turn + 7) % 9]];
                sizes[operand] = size;
                yield return MakeLinear(
                    sizes[0], sizes[1], sizes[2], activations[turn % activations.Length],
                    bias: turn % 2 == 0, residual: turn % 3 == 0, gap: turn % 4 == 0 ? 0 : turn);
                turn++;
            }
        }

        yield return MakeLinear(17, 768, 768, Activation.None, true, true, 0);
        yield return MakeLinear(33, 384, 1536, Activation.GeluErf, true, false, 0);
        yield return MakeLinear(130, 131, 515, Activation.GeluTanh, true, true, 1);
        yield return MakeLinear(3, 2049, 7, Activation.None, true, false, 0);
        yield return MakeLinear(600, 96, 200, Activation.Relu, true, true, 0);
        foreach (ElementType type in (ElementType[])[ElementType.BF16, ElementType.F16])
        {
            foreach ((int rows, int inputs, int outputs) in ((int, int, int)[])[(1, 257, 65), (17, 64, 33), (70, 31, 200), (33, 384, 384)])
            {
                yield return new($"linear {rows}x{inputs}x{outputs}, frozen {type}", b => FrozenLinear(b, rows, inputs, outputs, type));
            }
        }

        yield return new("linear, parts of a block", LinearParts);
        yield return new("linear, row of every sequence", LinearOfOneToken);
        yield return new("linear, weights change", LinearAfterTouch);
    }

    private static OpScenario MakeLinear(
        int rows, int inputs, int outputs, Activation activation, bool bias, bool residual, int gap) => new(
        $"linear {rows}x{inputs}x{outputs} {activation}{(bias ? ", bias" : "")}{(residual ? ", residual" : "")}, gap {gap}",
        b => Linear(b, rows, inputs, outputs, activation, bias, residual, gap));

    internal static void Linear(
        OpBench b, int rows, int inputs, int outputs, Activation activation, bool withBias, bool withResidual, int gap)
    {
        Tensor x = b.Input("x", [rows, inputs], gap);
        ParameterBlock weight = b.Parameter("weight", [outputs, inputs]);
        ParameterBlock? bias = withBias ? b.Parameter("bias", [outputs]) : null;
        Tensor? residual = withResidual ? b.Input("residual", [rows, outputs], gap) : null;
        (Tensor y, Tensor without) = (b.Output([rows, outputs], gap), b.Output([rows, outputs]));
        Tensor preActivation = b.Output([rows, outputs]);
        b.Run(d => d.LinearForward(y, preActivation, x, weight, bias, activation, residual));
        b.Run(d => d.LinearForward(without, null, x, weight, bias, activation, residual));
        b.Result("pre-activation", preActivation);
        b.Result("y", y);
        b.Result("y without pre-activation", without);

        Tensor dy = b.Input("dy", [rows, outputs], gap);
        (Tensor dx, Tensor added) = (b.Output([rows, inputs]), b.InOut("added", [rows, inputs], gap));
        b.Run(d => d.LinearBackwardInput(dx, dy, weight, accumulate: false));
        b.Run(d => d.LinearBackwardInput(added, dy, weight, accumulate: true));
        b.Run(d => d.LinearBackwardParameters(weight.Gradient!, bias?.Gradient, dy, x));
        b.Result("dx", dx);
        b.Result("dx added", added);
        b.Result("dweight", weight.Gradient!);
        if (bias is not null)
        {
            b.Result("dbias", bias.Gradient!);
        }
    }

    private static void FrozenLinear(OpBench b, int rows, int inputs, int outputs, ElementType type)
    {
        Tensor x = b.Input("x", [rows, inputs]);
        ParameterBlock weight = b.Parameter("weight", [outputs, inputs], trains: false, type);
        ParameterBlock bias = b.Parameter("bias", [outputs], trains: false);
        (Tensor y, Tensor dx) = (b.Output([rows, outputs]), b.Output([rows, inputs]));
        b.Run(d => d.LinearForward(y, null, x, weight, bias, Activation.None, null));
        Tensor dy = b.Input("dy", [rows, outputs]);
        b.Run(d => d.LinearBackwardInput(dx, dy, weight, accumulate: false));
        b.Result("y", y);
        b.Result("dx", dx);
    }

    /// <summary>Query, key and value of one block: all three in one product, and parts of it alone.</summary>
    private static void LinearParts(OpBench b)
    {
        const int Rows = 19, Channels = 48;
        Tensor x = b.Input("x", [Rows, Channels]);
        ParameterBlock weight = b.Parameter("weight", [3 * Channels, Channels]);
        ParameterBlock bias = b.Parameter("bias", [3 * Channels]);
        (Tensor all, Tensor query, Tensor rest) =
            (b.Output([Rows, 3 * Channels]), b.Output([Rows, Channels]), b.Output([Rows, 2 * Channels]));
        (ParameterBlock w, ParameterBlock bb) = (weight.Outputs(0, Channels), bias.Outputs(0, Channels));
        (ParameterBlock wRest, ParameterBlock bRest) = (weight.Outputs(Channels, 2 * Channels), bias.Outputs(Channels, 2 * Channels));
        b.Run(d => d.LinearForward(all, null, x, weight, bias, Activation.None, null));
        b.Run(d => d.LinearForward(query, null, x, w, bb, Activation.None, null));
        b.Run(d => d.LinearForward(rest, null, x, wRest, bRest, Activation.None, null));
        b.Result("all", all);
        b.Result("query", query);
        b.Result("rest", rest);

        Tensor dy = b.Input("dy", [Rows, 3 * Channels]);
        Tensor dx = b.Output([Rows, Channels]);
        (Tensor dquery, Tensor drest) = (dy.SliceColumns(0, Channels), dy.SliceColumns(Channels, 2 * Channels));
        b.Run(d => d.LinearBackwardInput(dx, dquery, w, accumulate: false));
        b.Run(d => d.LinearBackwardInput(dx, drest, wRest, accumulate: true));
        b.Run(d => d.LinearBackwardParameters(wRest.Gradient!, bRest.Gradient, drest, x));
        b.Result("dx", dx);
        b.Result("dweight", weight.Gradient!);
        b.Result("dbias", bias.Gradient!);
    }

    /// <summary>The head reads one position: rows as far apart as sequences.</summary>
    private static void LinearOfOneToken(OpBench b)
    {
        Tensor x = b.Input("x", [5, 17, 31]).Token(1);
        ParameterBlock weight = b.Parameter("weight", [65, 31]);
        Tensor y = b.Output([5, 3, 65]);
        (Tensor row, Tensor dy) = (y.Token(2), b.Input("dy", [5, 65]));
        b.Run(d => d.LinearForward(row, null, x, weight, null, Activation.Tanh, null));
        b.Run(d => d.LinearBackwardParameters(weight.Gradient!, null, dy, x));
        b.Result("y", row);
        b.Result("dweight", weight.Gradient!);
    }

    /// <summary>A device that keeps its own form of a weight must renew it when the values change, also for the parts of a block.</summary>
    private static void LinearAfterTouch(OpBench b)
    {
        Tensor x = b.Input("x", [9, 33]);
        Tensor values = b.Lasting(b.Random("weight", 40 * 33), 40, 33);
        ParameterBlock weight = new(values, null);
        ParameterBlock part = weight.Outputs(8, 16);
        string[] names = ["before", "after", "after another"];
        foreach (string name in names)
        {
            (Tensor y, Tensor partial, Tensor dx) = (b.Output([9, 40]), b.Output([9, 16]), b.Output([9, 33]));
            (Tensor dy, Tensor step) = (b.Input("dy", [9, 40]), b.Input("step", [40, 33]));
            b.Run(d => d.LinearForward(y, null, x, weight, null, Activation.None, null));
            b.Run(d => d.LinearForward(partial, null, x, part, null, Activation.None, null));
            b.Run(d => d.LinearBackwardInput(dx, dy, weight, accumulate: false));
            b.Result($"y {name}", y);
            b.Result($"part {name}", partial);
            b.Result($"dx {name}", dx);
            b.Run(d => d.Add(values, step));
            weight.Touch();
        }

        weight.ReleaseDeviceForms();
    }

    private static IEnumerable<OpScenario> Adapters()
    {
        foreach ((int rows, int channels, int narrow, Activation activation) in ((int, int, int, Activation)[])
            [(1, 5, 1, Activation.Relu), (17, 33, 4, Activation.Relu), (31, 64, 8, Activation.Silu), (65, 257, 32, Activation.Relu),
             (130, 96, 12, Activation.Silu), (272, 384, 48, Activation.Relu)])
        {
            yield return new($"adapter {rows}x{channels}/{narrow} {activation}", b => Adapter(b, rows, channels, narrow, activation, true));
        }

        yield return new("adapter 33x40/5, frozen", b => Adapter(b, 33, 40, 5, Activation.Relu, false));
    }

    internal static void Adapter(OpBench b, int rows, int channels, int narrow, Activation activation, bool trains)
    {
        AdapterParameters adapter = new(
            b.Parameter("down", [narrow, channels], trains), b.Parameter("down bias", [narrow], trains),
            b.Parameter("up", [channels, narrow], trains), b.Parameter("up bias", [channels], trains), activation);
        (Tensor x, Tensor dy) = (b.Input("x", [rows, channels]), b.Input("dy", [rows, channels]));
        (Tensor y, Tensor preActivation, Tensor hidden) = (b.Output([rows, channels]), b.Output([rows, narrow]), b.Output([rows, narrow]));
        (Tensor dx, Tensor dhidden) = (b.Output([rows, channels]), b.Output([rows, narrow]));
        b.Run(d => d.AdapterForward(y, preActivation, hidden, x, adapter));
        b.Run(d => d.AdapterBackward(null, dhidden, dy, x, preActivation, hidden, adapter));
        b.Run(d => d.AdapterBackward(dx, dhidden, dy, x, preActivation, hidden, adapter));
        b.Result("y", y);
        b.Result("hidden", hidden);
        b.Result("dx", dx);
        if (trains)
        {
            b.Result("ddown", adapter.Down.Gradient!);
            b.Result("ddown bias", adapter.DownBias.Gradient!);
            b.Result("dup", adapter.Up.Gradient!);
            b.Result("dup bias", adapter.UpBias.Gradient!);
        }
    }
}
