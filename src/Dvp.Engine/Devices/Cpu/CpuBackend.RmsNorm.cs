using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void RmsNormForward(NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, float epsilon)
    {
        NoteLaunch();
        NormContext c = NormForward(nameof(RmsNormForward), saved, y, x, residual, gamma, epsilon);
        Run(Pieces(x.Rows, c.RowsOfPiece), &RmsNormForwardBody, &c);
    }

    /// <inheritdoc/>
    public override void RmsNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        NoteLaunch();
        NormContext c = NormBackward(nameof(RmsNormBackward), ds, dy, saved, gamma, accumulate);
        Run(Pieces(dy.Rows, c.RowsOfPiece), &RmsNormBackwardBody, &c);
    }

    /// <inheritdoc/>
    public override void RmsNormBackwardParameters(Tensor dgamma, Tensor dy, NormState saved)
    {
        const string Operation = nameof(RmsNormBackwardParameters);
        NoteLaunch();
        RequireEqual(dy, saved.Sum, Operation);
        NormContext c = new()
        {
            X = new View(dy, Operation),
            Sum = new View(saved.Sum, Operation),
            Rstd = Flat(saved.Rstd, dy.Rows, Operation),
            Gamma = Flat(dgamma, dy.Columns, Operation),
        };

        // A layer norm's sums with a mean of 0 and no shift.
        Run(Pieces(dy.Columns, ColumnPiece), &LayerNormParametersBody, &c);
    }

    private static void RmsNormForwardBody(void* context, int piece)
    {
        ref NormContext c = ref *(NormContext*)context;
        int columns = c.X.Columns;
        float* gamma = c.Gamma;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.X.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* s = NormInput(ref c, row);
            float* y = c.Y.Row(row);
            float rstd = 1 / MathF.Sqrt((CpuRows.SumOfSquares(s, 0, columns) / columns) + c.Epsilon);
            c.Rstd[row] = rstd;
            Vector256<float> r = Vector256.Create(rstd);
            int i = 0;
            for (; i + 8 <= columns; i += 8)
            {
                (Vector256.Load(s + i) * r * Vector256.Load(gamma + i)).Store(y + i);
            }

            for (; i < columns; i++)
            {
                y[i] = s[i] * rstd * gamma[i];
            }
        }
    }

    // With n = s rstd and g = dy gamma: ds = rstd (g - n mean(g n)).
    private static void RmsNormBackwardBody(void* context, int piece)
    {
        ref NormContext c = ref *(NormContext*)context;
        int columns = c.X.Columns;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.X.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* dy = c.X.Row(row);
            float* s = c.Sum.Row(row);
            float rstd = c.Rstd[row];
            (_, float sumGn) = NormGradientSums(dy, s, 0, rstd, c.Gamma, columns);
            NormGradientRow(c.Y.Row(row), dy, s, 0, rstd, 0, sumGn / columns, c.Gamma, columns, c.Accumulate);
        }
    }
}
