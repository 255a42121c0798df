using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <inheritdoc/>
    public override void LayerNormForward(
        NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, ParameterBlock beta, float epsilon)
    {
        Launched();
        RequireSame(y, x);
        (int rows, int columns) = (x.Rows, x.Columns);
        Require(gamma.Value.Count == columns && beta.Value.Count == columns, "The parameters of a norm do not fit its rows.");
        double[] s = Sum(saved, x, residual);
        double[] g = Load(gamma.Value);
        double[] b = Load(beta.Value);
        double[] means = new double[rows];
        double[] rstds = new double[rows];
        double[] result = new double[s.Length];
        for (int n = 0; n < rows; n++)
        {
            Span<double> row = s.AsSpan(n * columns, columns);
            double mean = 0;
            foreach (double value in row)
            {
                mean += value / columns;
            }

            double variance = 0;
            foreach (double value in row)
            {
                variance += (value - mean) * (value - mean) / columns;
            }

            (means[n], rstds[n]) = (mean, 1 / Math.Sqrt(variance + epsilon));
            for (int c = 0; c < columns; c++)
            {
                result[(n * columns) + c] = ((row[c] - mean) * rstds[n] * g[c]) + b[c];
            }
        }

        Store(saved.Mean!, means);
        Store(saved.Rstd, rstds);
        Store(y, result);
    }

    /// <inheritdoc/>
    public override void LayerNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        Launched();
        RequireSame(ds, dy);
        RequireSame(ds, saved.Sum);
        (int rows, int columns) = (dy.Rows, dy.Columns);
        double[] d = Load(dy);
        double[] g = Load(gamma.Value);
        double[] rstds = Load(saved.Rstd);
        double[] n = Normalized(saved);
        double[] result = new double[d.Length];
        for (int row = 0; row < rows; row++)
        {
            double meanOfGradient = 0;
            double meanOfProduct = 0;
            for (int c = 0; c < columns; c++)
            {
                int i = (row * columns) + c;
                meanOfGradient += d[i] * g[c] / columns;
                meanOfProduct += d[i] * g[c] * n[i] / columns;
            }

            for (int c = 0; c < columns; c++)
            {
                int i = (row * columns) + c;
                result[i] = rstds[row] * ((d[i] * g[c]) - meanOfGradient - (n[i] * meanOfProduct));
            }
        }

        Store(ds, result, accumulate);
    }

    /// <inheritdoc/>
    public override void LayerNormBackwardParameters(Tensor dgamma, Tensor dbeta, Tensor dy, NormState saved)
    {
        Launched();
        RequireSame(dy, saved.Sum);
        double[] d = Load(dy);
        Store(dbeta, ColumnSums(d, dy.Rows, dy.Columns), accumulate: true);
        Store(dgamma, ColumnSums(Multiply(d, Normalized(saved)), dy.Rows, dy.Columns), accumulate: true);
    }

    /// <inheritdoc/>
    public override void RmsNormForward(NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, float epsilon)
    {
        Launched();
        RequireSame(y, x);
        (int rows, int columns) = (x.Rows, x.Columns);
        Require(gamma.Value.Count == columns, "The parameters of a norm do not fit its rows.");
        double[] s = Sum(saved, x, residual);
        double[] g = Load(gamma.Value);
        double[] rstds = new double[rows];
        double[] result = new double[s.Length];
        for (int n = 0; n < rows; n++)
        {
            double meanSquare = 0;
            for (int c = 0; c < columns; c++)
            {
                meanSquare += s[(n * columns) + c] * s[(n * columns) + c] / columns;
            }

            rstds[n] = 1 / Math.Sqrt(meanSquare + epsilon);
            for (int c = 0; c < columns; c++)
            {
                result[(n * columns) + c] = s[(n * columns) + c] * rstds[n] * g[c];
            }
        }

        Store(saved.Rstd, rstds);
        Store(y, result);
    }

    /// <inheritdoc/>
    public override void RmsNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        Launched();
        RequireSame(ds, dy);
        RequireSame(ds, saved.Sum);
        (int rows, int columns) = (dy.Rows, dy.Columns);
        double[] d = Load(dy);
        double[] g = Load(gamma.Value);
        double[] rstds = Load(saved.Rstd);
        double[] n = Normalized(saved);
        double[] result = new double[d.Length];
        for (int row = 0; row < rows; row++)
        {
            double meanOfProduct = 0;
            for (int c = 0; c < columns; c++)
            {
                int i = (row * columns) + c;
                meanOfProduct += d[i] * g[c] * n[i] / columns;
            }

            for (int c = 0; c < columns; c++)
            {
                int i = (row * columns) + c;
                result[i] = rstds[row] * ((d[i] * g[c]) - (n[i] * meanOfProduct));
            }
        }

        Store(ds, result, accumulate);
    }

    /// <inheritdoc/>
    public override void RmsNormBackwardParameters(Tensor dgamma, Tensor dy, NormState saved)
    {
        Launched();
        RequireSame(dy, saved.Sum);
        Store(dgamma, ColumnSums(Multiply(Load(dy), Normalized(saved)), dy.Rows, dy.Columns), accumulate: true);
    }

    /// <summary>x + residual, kept in the state unless the state is x itself.</summary>
    private static double[] Sum(NormState saved, Tensor x, Tensor? residual)
    {
        RequireSame(saved.Sum, x);
        Require(saved.Rstd.Count == x.Rows, $"{saved.Rstd} does not hold a number for every row of {x}.");
        Require(saved.Mean is null || saved.Mean.Count == x.Rows, $"{saved.Mean} does not hold a number for every row of {x}.");
        double[] s = Load(x);
        if (residual is not null)
        {
            RequireSame(x, residual);
            double[] r = Load(residual);
            for (int i = 0; i < s.Length; i++)
            {
                s[i] += r[i];
            }
        }

        if (residual is not null || !saved.Sum.SharesStartWith(x))
        {
            Store(saved.Sum, s);
        }

        return s;
    }

    /// <summary>(s - mean) rstd; for an RMS norm s rstd.</summary>
    private static double[] Normalized(NormState saved)
    {
        double[] n = Load(saved.Sum);
        double[] rstds = Load(saved.Rstd);
        double[]? means = saved.Mean is null ? null : Load(saved.Mean);
        int columns = saved.Sum.Columns;
        for (int i = 0; i < n.Length; i++)
        {
            n[i] = (n[i] - (means?[i / columns] ?? 0)) * rstds[i / columns];
        }

        return n;
    }

    private static double[] Multiply(double[] a, double[] b)
    {
        double[] product = new double[a.Length];
        for (int i = 0; i < a.Length; i++)
        {
            product[i] = a[i] * b[i];
        }

        return product;
    }
}
