using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class OpScenarios
{
    private static IEnumerable<OpScenario> Elementwise()
    {
        foreach (int columns in s_raggedSizes)
        {
            foreach (int gap in (int[])[0, 3, 64])
            {
                yield return new($"fill, copy, add 7x{columns} gap {gap}", b => FillCopyAdd(b, 7, columns, gap));
            }
        }

        yield return new("fill, copy, add 513x768", b => FillCopyAdd(b, 513, 768, 0));
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            foreach ((int rows, int columns, int gap) in ((int, int, int)[])[(1, 1, 0), (5, 31, 2), (3, 257, 1), (130, 768, 0)])
            {
                yield return new($"activation {activation} {rows}x{columns} gap {gap}", b => Activate(b, activation, rows, columns, gap));
                yield return new($"gated {activation} {rows}x{columns} gap {gap}", b => Gate(b, activation, rows, columns, gap));
            }
        }

        foreach (int count in (int[])[1, 3, 4, 5, 31, 33, 129, 1000, 70_001])
        {
            yield return new($"dropout {count}", b => Drop(b, 1, count, 0, 0.1f));
        }

        yield return new("dropout 9x33 gap 5", b => Drop(b, 9, 33, 5, 0.5f));
        yield return new("dropout 65x30 gap 1, rate 0.9", b => Drop(b, 65, 30, 1, 0.9f));
        yield return new("dropout 6x5, rate 0", b => Drop(b, 6, 5, 0, 0));
    }

    private static void FillCopyAdd(OpBench b, int rows, int columns, int gap)
    {
        (Tensor filled, Tensor copied, Tensor added) =
            (b.Output([rows, columns], gap), b.Output([rows, columns]), b.InOut("added", [rows, columns], gap));
        Tensor x = b.Input("x", [rows, columns], gap + 2);
        b.Run(d => d.Fill(filled, -1.25f));
        b.Run(d => d.Copy(copied, x));
        b.Run(d => d.Add(added, x));
        b.Result("filled", filled);
        b.Result("copied", copied);
        b.Result("added", added);
    }

    private static void Activate(OpBench b, Activation activation, int rows, int columns, int gap)
    {
        // One element alone is its own scale: keep it away from the flat ends, where the derivative is a
        // difference of nearly equal numbers.
        double spread = rows * columns == 1 ? 1 : 8;
        Tensor x = b.Input("x", [rows, columns], gap, spread: spread);
        (Tensor y, Tensor dx) = (b.Output([rows, columns], gap), b.Output([rows, columns]));
        (Tensor yInPlace, Tensor dxInPlace) = (b.InOut("x", [rows, columns], gap), b.InOut("dy", [rows, columns]));
        Tensor dy = b.Input("dy", [rows, columns], gap + 1);
        b.Run(d => d.ActivationForward(y, x, activation));
        b.Run(d => d.ActivationForward(yInPlace, yInPlace, activation));
        b.Run(d => d.ActivationBackward(dx, dy, x, activation));
        b.Run(d => d.ActivationBackward(dxInPlace, dxInPlace, x, activation));
        b.Result("y", y);
        b.Result("y in place", yInPlace);
        b.Result("dx", dx);
        b.Result("dx in place", dxInPlace);
    }

    /// <summary>Gate and up lie side by side, as one product makes them.</summary>
    private static void Gate(OpBench b, Activation activation, int rows, int columns, int gap)
    {
        Tensor both = b.Input("gate and up", [rows, 2 * columns], gap, spread: 5);
        Tensor gradients = b.Output([rows, 2 * columns], gap);
        (Tensor gate, Tensor up) = (both.SliceColumns(0, columns), both.SliceColumns(columns, columns));
        (Tensor y, Tensor dy) = (b.Output([rows, columns]), b.Input("dy", [rows, columns]));
        b.Run(d => d.GatedForward(y, gate, up, activation));
        (Tensor dgate, Tensor dup) = (gradients.SliceColumns(0, columns), gradients.SliceColumns(columns, columns));
        b.Run(d => d.GatedBackward(dgate, dup, dy, gate, up, activation));
        b.Result("y", y);
        b.Result("gradients", gradients);
    }

    private static void Drop(OpBench b, int rows, int columns, int gap, float rate)
    {
        Tensor state = DropoutState(b);
        Dropout dropout = new(rate, 7, state);
        Tensor x = b.Input("x", [rows, columns], gap);
        (Tensor y, Tensor inPlace, Tensor added) =
            (b.Output([rows, columns]), b.InOut("in place", [rows, columns], gap), b.InOut("added", [rows, columns], 2));
        b.Run(d => d.DropoutApply(y, x, dropout, accumulate: false));
        b.Run(d => d.DropoutApply(inPlace, inPlace, dropout, accumulate: false));
        b.Run(d => d.DropoutApply(added, x, dropout, accumulate: true));
        b.Result("y", y);
        b.Result("in place", inPlace);
        b.Result("added", added);

        double[] keep = [.. Enumerable.Range(0, rows * columns).Select(i => i % 3 == 0 ? 0.0 : 1.5)];
        Tensor masked = b.Output([rows, columns], gap);
        Dropout explicitMask = new(1f / 3, 0, null, b.Input(keep, [rows, columns]));
        b.Run(d => d.DropoutApply(masked, x, explicitMask, accumulate: false));
        b.Result("masked", masked);
    }

    /// <summary>A seed and a step that use all four words.</summary>
    private static Tensor DropoutState(OpBench b) => b.Input([0x12345678, unchecked((int)0x9ABCDEF0), 41, 3], 4);
}
