using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    private struct NormContext
    {
        internal View Sum;
        internal View Y;
        internal View X;
        internal View Residual;
        internal float* Mean;
        internal float* Rstd;
        internal float* Gamma;
        internal float* Beta;
        internal float Epsilon;
        internal bool Accumulate;
        internal int RowsOfPiece;
    }

    /// <inheritdoc/>
    public override void LayerNormForward(
        NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, ParameterBlock beta, float epsilon)
    {
        const string Operation = nameof(LayerNormForward);
        NoteLaunch();
        NormContext c = NormForward(Operation, saved, y, x, residual, gamma, epsilon);
        c.Mean = Flat(saved.Mean!, x.Rows, Operation);
        c.Beta = Flat(beta.Value, x.Columns, Operation);
        Run(Pieces(x.Rows, c.RowsOfPiece), &LayerNormForwardBody, &c);
    }

    /// <inheritdoc/>
    public override void LayerNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        const string Operation = nameof(LayerNormBackward);
        NoteLaunch();
        NormContext c = NormBackward(Operation, ds, dy, saved, gamma, accumulate);
        c.Mean = Flat(saved.Mean!, dy.Rows, Operation);
        Run(Pieces(dy.Rows, c.RowsOfPiece), &LayerNormBackwardBody, &c);
    }

    /// <inheritdoc/>
    public override void LayerNormBackwardParameters(Tensor dgamma, Tensor dbeta, Tensor dy, NormState saved)
    {
        const string Operation = nameof(LayerNormBackwardParameters);
        NoteLaunch();
        RequireEqual(dy, saved.Sum, Operation);
        NormContext c = new()
        {
            X = new View(dy, Operation),
            Sum = new View(saved.Sum, Operation),
            Mean = Flat(saved.Mean!, dy.Rows, Operation),
            Rstd = Flat(saved.Rstd, dy.Rows, Operation),
            Gamma = Flat(dgamma, dy.Columns, Operation),
            Beta = Flat(dbeta, dy.Columns, Operation),
        };
        Run(Pieces(dy.Columns, ColumnPiece), &LayerNormParametersBody, &c);
    }

    private static NormContext NormForward(
        string operation, NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, float epsilon)
    {
        RequireEqual(x, y, operation);
        RequireEqual(x, residual, operation);
        RequireEqual(x, saved.Sum, operation);
        bool sumIsInput = residual is null && saved.Sum.SharesStartWith(x);
        return new NormContext
        {
            // Without a residual the sum is the input, which need not be written.
            Sum = sumIsInput ? default : new View(saved.Sum, operation),
            Y = new View(y, operation),
            X = new View(x, operation),
            Residual = Optional(residual, operation),
            Rstd = Flat(saved.Rstd, x.Rows, operation),
            Gamma = Flat(gamma.Value, x.Columns, operation),
            Epsilon = epsilon,
            RowsOfPiece = RowsOfPiece(x.Columns),
        };
    }

    private static NormContext NormBackward(string operation, Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        RequireEqual(dy, ds, operation);
        RequireEqual(dy, saved.Sum, operation);
        return new NormContext
        {
            Y = new View(ds, operation),
            X = new View(dy, operation),
            Sum = new View(saved.Sum, operation),
            Rstd = Flat(saved.Rstd, dy.Rows, operation),
            Gamma = Flat(gamma.Value, dy.Columns, operation),
            Accumulate = accumulate,
            RowsOfPiece = RowsOfPiece(dy.Columns),
        };
    }

    /// <summary>The row to normalise: x itself, or the sum x + residual, written where it is kept.</summary>
    private static float* NormInput(ref NormContext c, int row)
    {
        float* x = c.X.Row(row);
        if (!c.Sum.Exists)
        {
            return x;
        }

        float* sum = c.Sum.Row(row);
        if (c.Residual.Exists)
        {
            CpuRows.Add(sum, x, c.Residual.Row(row), c.X.Columns);
        }
        else
        {
            new ReadOnlySpan<float>(x, c.X.Columns).CopyTo(new Span<float>(sum, c.X.Columns));
        }

        return sum;
    }

    private static void LayerNormForwardBody(void* context, int piece)
    {
        ref NormContext c = ref *(NormContext*)context;
        int columns = c.X.Columns;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.X.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* s = NormInput(ref c, row);
            float mean = CpuRows.Sum(s, columns) / columns;
            float variance = CpuRows.SumOfSquares(s, mean, columns) / columns;
            float rstd = 1 / MathF.Sqrt(variance + c.Epsilon);
            c.Mean[row] = mean;
            c.Rstd[row] = rstd;
            LayerNormRow(c.Y.Row(row), s, mean, rstd, c.Gamma, c.Beta, columns);
        }
    }

    private static void LayerNormRow(float* y, float* s, float mean, float rstd, float* gamma, float* beta, int columns)
    {
        Vector256<float> m = Vector256.Create(mean);
        Vector256<float> r = Vector256.Create(rstd);
        int i = 0;
        for (; i + 8 <= columns; i += 8)
        {
            Vector256<float> n = (Vector256.Load(s + i) - m) * r;
            Vector256.MultiplyAddEstimate(n, Vector256.Load(gamma + i), Vector256.Load(beta + i)).Store(y + i);
        }

        for (; i < columns; i++)
        {
            y[i] = ((s[i] - mean) * rstd * gamma[i]) + beta[i];
        }
    }

    // With n = (s - mean) rstd and g = dy gamma: ds = rstd (g - mean(g) - n mean(g n)).
    private static void LayerNormBackwardBody(void* context, int piece)
    {
        ref NormContext c = ref *(NormContext*)context;
        int columns = c.X.Columns;
        float* gamma = c.Gamma;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.X.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* ds = c.Y.Row(row);
            float* dy = c.X.Row(row);
            float* s = c.Sum.Row(row);
            float mean = c.Mean[row];
            float rstd = c.Rstd[row];
            (float sumG, float sumGn) = NormGradientSums(dy, s, mean, rstd, gamma, columns);
            float meanG = sumG / columns;
            float meanGn = sumGn / columns;
            NormGradientRow(ds, dy, s, mean, rstd, meanG, meanGn, gamma, columns, c.Accumulate);
        }
    }

    private static (float SumG, float SumGn) NormGradientSums(float* dy, float* s, float mean, float rstd, float* gamma, int columns)
    {
        Vector256<float> m = Vector256.Create(mean);
        Vector256<float> r = Vector256.Create(rstd);
        Vector256<float> g0 = Vector256<float>.Zero;
        Vector256<float> g1 = g0;
        Vector256<float> n0 = g0;
        Vector256<float> n1 = g0;
        int i = 0;
        for (; i + 16 <= columns; i += 16)
        {
            Vector256<float> a = Vector256.Load(dy + i) * Vector256.Load(gamma + i);
            Vector256<float> b = Vector256.Load(dy + i + 8) * Vector256.Load(gamma + i + 8);
            g0 += a;
            g1 += b;
            n0 = Vector256.MultiplyAddEstimate(a, (Vector256.Load(s + i) - m) * r, n0);
            n1 = Vector256.MultiplyAddEstimate(b, (Vector256.Load(s + i + 8) - m) * r, n1);
        }

        float sumG = Vector256.Sum(g0 + g1);
        float sumGn = Vector256.Sum(n0 + n1);
        for (; i < columns; i++)
        {
            float g = dy[i] * gamma[i];
            sumG += g;
            sumGn += g * ((s[i] - mean) * rstd);
        }

        return (sumG, sumGn);
    }

    private static void NormGradientRow(
        float* ds, float* dy, float* s, float mean, float rstd, float meanG, float meanGn, float* gamma, int columns, bool accumulate)
    {
        Vector256<float> m = Vector256.Create(mean);
        Vector256<float> r = Vector256.Create(rstd);
        Vector256<float> mg = Vector256.Create(meanG);
        Vector256<float> mgn = Vector256.Create(meanGn);

        // 0 in place of what was there when the gradient is written, without reading it.
        int i = 0;
        if (accumulate)
        {
            for (; i + 8 <= columns; i += 8)
            {
                Vector256<float> n = (Vector256.Load(s + i) - m) * r;
                Vector256<float> g = Vector256.MultiplyAddEstimate(Vector256.Load(dy + i), Vector256.Load(gamma + i), -mg);
                Vector256.MultiplyAddEstimate(r, g - (n * mgn), Vector256.Load(ds + i)).Store(ds + i);
            }
        }
        else
        {
            for (; i + 8 <= columns; i += 8)
            {
                Vector256<float> n = (Vector256.Load(s + i) - m) * r;
                Vector256<float> g = Vector256.MultiplyAddEstimate(Vector256.Load(dy + i), Vector256.Load(gamma + i), -mg);
                (r * (g - (n * mgn))).Store(ds + i);
            }
        }

        for (; i < columns; i++)
        {
            float value = rstd * ((dy[i] * gamma[i]) - meanG - ((s[i] - mean) * rstd * meanGn));
            ds[i] = accumulate ? ds[i] + value : value;
        }
    }

    /// <summary>Rows whose contributions are summed by themselves before they join the total: keeps long sums exact enough.</summary>
    private const int RowsOfPartialSum = 128;

    private static void LayerNormParametersBody(void* context, int piece)
    {
        ref NormContext c = ref *(NormContext*)context;
        int rows = c.X.Rows;
        int start = piece * ColumnPiece;
        int end = Math.Min(start + ColumnPiece, c.X.Columns);
        float* dgamma = c.Gamma;
        float* dbeta = c.Beta;
        for (int first = 0; first < rows; first += RowsOfPartialSum)
        {
            int last = Math.Min(first + RowsOfPartialSum, rows);
            int i = start;
            for (; i + 16 <= end; i += 16)
            {
                Vector256<float> g0 = Vector256<float>.Zero;
                Vector256<float> g1 = g0;
                Vector256<float> b0 = g0;
                Vector256<float> b1 = g0;
                for (int row = first; row < last; row++)
                {
                    Vector256<float> mean = Vector256.Create(c.Mean is null ? 0 : c.Mean[row]);
                    Vector256<float> rstd = Vector256.Create(c.Rstd[row]);
                    float* s = c.Sum.Row(row) + i;
                    float* dy = c.X.Row(row) + i;
                    Vector256<float> d0 = Vector256.Load(dy);
                    Vector256<float> d1 = Vector256.Load(dy + 8);
                    g0 = Vector256.MultiplyAddEstimate(d0, (Vector256.Load(s) - mean) * rstd, g0);
                    g1 = Vector256.MultiplyAddEstimate(d1, (Vector256.Load(s + 8) - mean) * rstd, g1);
                    b0 += d0;
                    b1 += d1;
                }

                (Vector256.Load(dgamma + i) + g0).Store(dgamma + i);
                (Vector256.Load(dgamma + i + 8) + g1).Store(dgamma + i + 8);
                if (dbeta is not null)
                {
                    (Vector256.Load(dbeta + i) + b0).Store(dbeta + i);
                    (Vector256.Load(dbeta + i + 8) + b1).Store(dbeta + i + 8);
                }
            }

            for (; i < end; i++)
            {
                float g = 0;
                float b = 0;
                for (int row = first; row < last; row++)
                {
                    float mean = c.Mean is null ? 0 : c.Mean[row];
                    float dy = c.X.Row(row)[i];
                    g += dy * ((c.Sum.Row(row)[i] - mean) * c.Rstd[row]);
                    b += dy;
                }

                dgamma[i] += g;
                if (dbeta is not null)
                {
                    dbeta[i] += b;
                }
            }
        }
    }
}
