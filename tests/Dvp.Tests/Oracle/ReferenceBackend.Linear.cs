using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <inheritdoc/>
    public override void LinearForward(
        Tensor y, Tensor? preActivation, Tensor x, ParameterBlock weight, ParameterBlock? bias, Activation activation, Tensor? residual)
    {
        Launched();
        (int rows, int inputs, int outputs) = (x.Rows, x.Columns, weight.Value.Rows);
        Require(weight.Value.Columns == inputs, $"A weight {weight.Value} does not fit an input {x}.");
        Require(y.Rows == rows && y.Columns == outputs, $"A result {y} does not fit an input {x} and a weight {weight.Value}.");
        Require(bias is null || bias.Value.Count == outputs, "A bias does not fit its weight.");
        if (residual is not null)
        {
            RequireSame(y, residual);
        }

        double[] product = Product(Load(x), Load(weight.Value), rows, inputs, outputs);
        double[]? b = bias is null ? null : Load(bias.Value);
        double[]? r = residual is null ? null : Load(residual);
        double[] result = new double[product.Length];
        for (int i = 0; i < product.Length; i++)
        {
            product[i] += b?[i % outputs] ?? 0;
            result[i] = Scalar.Activate(product[i], activation) + (r?[i] ?? 0);
        }

        if (preActivation is not null)
        {
            Store(preActivation, product);
        }

        Store(y, result);
    }

    /// <inheritdoc/>
    public override void LinearBackwardInput(Tensor dx, Tensor dy, ParameterBlock weight, bool accumulate)
    {
        Launched();
        (int rows, int inputs, int outputs) = (dx.Rows, dx.Columns, dy.Columns);
        Require(dy.Rows == rows, $"{dx} and {dy} have different rows.");
        Require(weight.Value.Rows == outputs && weight.Value.Columns == inputs, $"A weight {weight.Value} does not fit {dx} and {dy}.");
        Store(dx, TransposedProduct(Load(dy), Load(weight.Value), rows, inputs, outputs), accumulate);
    }

    /// <inheritdoc/>
    public override void LinearBackwardParameters(Tensor dweight, Tensor? dbias, Tensor dy, Tensor x)
    {
        Launched();
        (int rows, int inputs, int outputs) = (x.Rows, x.Columns, dy.Columns);
        Require(dy.Rows == rows, $"{x} and {dy} have different rows.");
        Require(dweight.Rows == outputs && dweight.Columns == inputs, $"A gradient {dweight} does not fit {x} and {dy}.");
        Require(dbias is null || dbias.Count == outputs, $"A gradient of the bias does not fit {dy}.");
        double[] d = Load(dy);
        Store(dweight, WeightGradient(d, Load(x), rows, inputs, outputs), accumulate: true);
        if (dbias is not null)
        {
            Store(dbias, ColumnSums(d, rows, outputs), accumulate: true);
        }
    }

    /// <inheritdoc/>
    public override void AdapterForward(Tensor y, Tensor preActivation, Tensor hidden, Tensor x, AdapterParameters adapter)
    {
        Launched();
        RequireSame(y, x);
        RequireSame(preActivation, hidden);
        (int rows, int channels, int narrow) = (x.Rows, x.Columns, adapter.Down.Value.Rows);
        RequireFits(adapter, x, preActivation);
        double[] input = Load(x);
        double[] z = Product(input, Load(adapter.Down.Value), rows, channels, narrow);
        double[] downBias = Load(adapter.DownBias.Value);
        double[] h = new double[z.Length];
        for (int i = 0; i < z.Length; i++)
        {
            z[i] += downBias[i % narrow];
            h[i] = Scalar.Activate(z[i], adapter.Activation);
        }

        double[] result = Product(h, Load(adapter.Up.Value), rows, narrow, channels);
        double[] upBias = Load(adapter.UpBias.Value);
        for (int i = 0; i < result.Length; i++)
        {
            result[i] += input[i] + upBias[i % channels];
        }

        Store(preActivation, z);
        Store(hidden, h);
        Store(y, result);
    }

    /// <inheritdoc/>
    public override void AdapterBackward(
        Tensor? dx, Tensor dhidden, Tensor dy, Tensor x, Tensor preActivation, Tensor hidden, AdapterParameters adapter)
    {
        Launched();
        RequireSame(dy, x);
        RequireSame(preActivation, hidden);
        RequireFits(adapter, x, preActivation);
        (int rows, int channels, int narrow) = (x.Rows, x.Columns, adapter.Down.Value.Rows);
        double[] d = Load(dy);
        double[] z = Load(preActivation);
        double[] dz = TransposedProduct(d, Load(adapter.Up.Value), rows, narrow, channels);
        for (int i = 0; i < dz.Length; i++)
        {
            dz[i] *= Scalar.Slope(z[i], adapter.Activation);
        }

        AddGradient(adapter.Up, WeightGradient(d, Load(hidden), rows, narrow, channels));
        AddGradient(adapter.UpBias, ColumnSums(d, rows, channels));
        AddGradient(adapter.Down, WeightGradient(dz, Load(x), rows, channels, narrow));
        AddGradient(adapter.DownBias, ColumnSums(dz, rows, narrow));
        Store(dhidden, dz);
        if (dx is not null)
        {
            Require(!dx.SharesStartWith(dy), "The gradients of an adapter's input and output must not be one tensor.");
            double[] result = TransposedProduct(dz, Load(adapter.Down.Value), rows, channels, narrow);
            for (int i = 0; i < result.Length; i++)
            {
                result[i] += d[i];
            }

            Store(dx, result);
        }
    }

    private static void RequireFits(AdapterParameters adapter, Tensor x, Tensor preActivation)
    {
        (Tensor down, Tensor up) = (adapter.Down.Value, adapter.Up.Value);
        Require(preActivation.Rows == x.Rows && preActivation.Columns == down.Rows, $"{preActivation} does not fit {x} and the adapter.");
        Require(down.Columns == x.Columns && up.Rows == x.Columns && up.Columns == down.Rows, $"{x} does not fit the adapter.");
        Require(adapter.DownBias.Value.Count == down.Rows && adapter.UpBias.Value.Count == up.Rows, "The adapter's biases do not fit.");
    }

    private static void AddGradient(ParameterBlock block, double[] gradient)
    {
        if (block.Gradient is { } sum)
        {
            Store(sum, gradient, accumulate: true);
        }
    }

    /// <summary>x W^T</summary>
    private static double[] Product(double[] x, double[] weight, int rows, int inputs, int outputs)
    {
        double[] y = new double[rows * outputs];
        for (int n = 0; n < rows; n++)
        {
            for (int o = 0; o < outputs; o++)
            {
                double sum = 0;
                for (int i = 0; i < inputs; i++)
                {
                    sum += x[(n * inputs) + i] * weight[(o * inputs) + i];
                }

                y[(n * outputs) + o] = sum;
            }
        }

        return y;
    }

    /// <summary>dy W</summary>
    private static double[] TransposedProduct(double[] dy, double[] weight, int rows, int inputs, int outputs)
    {
        double[] dx = new double[rows * inputs];
        for (int n = 0; n < rows; n++)
        {
            for (int o = 0; o < outputs; o++)
            {
                for (int i = 0; i < inputs; i++)
                {
                    dx[(n * inputs) + i] += dy[(n * outputs) + o] * weight[(o * inputs) + i];
                }
            }
        }

        return dx;
    }

    /// <summary>dy^T x</summary>
    private static double[] WeightGradient(double[] dy, double[] x, int rows, int inputs, int outputs)
    {
        double[] dweight = new double[outputs * inputs];
        for (int n = 0; n < rows; n++)
        {
            for (int o = 0; o < outputs; o++)
            {
                for (int i = 0; i < inputs; i++)
                {
                    dweight[(o * inputs) + i] += dy[(n * outputs) + o] * x[(n * inputs) + i];
                }
            }
        }

        return dweight;
    }

    private static double[] ColumnSums(double[] x, int rows, int columns)
    {
        double[] sums = new double[columns];
        for (int i = 0; i < rows * columns; i++)
        {
            sums[i % columns] += x[i];
        }

        return sums;
    }
}
