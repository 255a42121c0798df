using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class OpScenarios
{
    private static IEnumerable<OpScenario> Norms()
    {
        foreach (bool layer in (bool[])[true, false])
        {
            string kind = layer ? "layer norm" : "RMS norm";
            foreach (int columns in s_raggedSizes.Skip(1).Append(768))
            {
                foreach ((int rows, bool residual, int gap) in ((int, bool, int)[])[(1, true, 0), (17, false, 3), (33, true, 1)])
                {
                    yield return new(
                        $"{kind} {rows}x{columns}{(residual ? ", residual" : "")}, gap {gap}",
                        b => Norm(b, layer, rows, columns, residual, gap), 4);
                }
            }

            yield return new($"{kind} 600x384, residual", b => Norm(b, layer, 600, 384, true, 0), 4);

            // Many rows are summed in ranges; long rows are a block's, and the longest do not fit its shared memory.
            yield return new($"{kind} 1100x33", b => Norm(b, layer, 1100, 33, false, 0), 4);
            yield return new($"{kind} 3x1501, residual, gap 1", b => Norm(b, layer, 3, 1501, true, 1), 4);
            yield return new($"{kind} 2x2048", b => Norm(b, layer, 2, 2048, false, 0), 4);
            yield return new($"{kind} 2x12404, residual", b => Norm(b, layer, 2, 12_404, true, 0), 4);
            yield return new($"{kind} 2x12403", b => Norm(b, layer, 2, 12_403, false, 0), 4);
        }
    }

    internal static void Norm(OpBench b, bool layer, int rows, int columns, bool withResidual, int gap)
    {
        // A mean away from zero, so that a wrong order of subtraction shows.
        Tensor x = b.Input(b.Random("x", rows * columns, 2, 0.5), [rows, columns], gap);
        Tensor? residual = withResidual ? b.Input("residual", [rows, columns], gap) : null;
        ParameterBlock gamma = b.Parameter("gamma", [columns]);
        ParameterBlock beta = b.Parameter("beta", [columns]);
        NormState saved = new(
            withResidual ? b.Output([rows, columns], gap) : x, layer ? b.Statistic(rows) : null, b.Statistic(rows));
        Tensor y = b.Output([rows, columns], gap);
        Tensor dy = b.Input("dy", [rows, columns], gap + 1);
        (Tensor ds, Tensor added) = (b.Output([rows, columns]), b.InOut("added", [rows, columns], gap));
        if (layer)
        {
            b.Run(d => d.LayerNormForward(saved, y, x, residual, gamma, beta, 1e-5f));
            b.Run(d => d.LayerNormBackward(ds, dy, saved, gamma, accumulate: false));
            b.Run(d => d.LayerNormBackward(added, dy, saved, gamma, accumulate: true));
            b.Run(d => d.LayerNormBackwardParameters(gamma.Gradient!, beta.Gradient!, dy, saved));
            b.Result("mean", saved.Mean!);
            b.Result("dbeta", beta.Gradient!);
        }
        else
        {
            b.Run(d => d.RmsNormForward(saved, y, x, residual, gamma, 1e-6f));
            b.Run(d => d.RmsNormBackward(ds, dy, saved, gamma, accumulate: false));
            b.Run(d => d.RmsNormBackward(added, dy, saved, gamma, accumulate: true));
            b.Run(d => d.RmsNormBackwardParameters(gamma.Gradient!, dy, saved));
        }

        b.Result("sum", saved.Sum);
        b.Result("rstd", saved.Rstd);
        b.Result("y", y);
        b.Result("ds", ds);
        b.Result("ds added", added);
        b.Result("dgamma", gamma.Gradient!);
    }
}
