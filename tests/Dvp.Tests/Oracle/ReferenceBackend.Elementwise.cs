using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <inheritdoc/>
    public override void Fill(Tensor y, float value)
    {
        Launched();
        double[] values = new double[y.Count];
        Array.Fill(values, value);
        if (y.Type == ElementType.I32)
        {
            for (int row = 0; row < y.Rows; row++)
            {
                for (int column = 0; column < y.Columns; column++)
                {
                    *(int*)Element(y, row, column) = (int)value;
                }
            }

            return;
        }

        Store(y, values);
    }

    /// <inheritdoc/>
    public override void Copy(Tensor y, Tensor x)
    {
        Launched();
        RequireSame(y, x);
        Store(y, Load(x));
    }

    /// <inheritdoc/>
    public override void Add(Tensor y, Tensor x)
    {
        Launched();
        RequireSame(y, x);
        Store(y, Load(x), accumulate: true);
    }

    /// <inheritdoc/>
    public override void DropoutApply(Tensor y, Tensor x, Dropout dropout, bool accumulate)
    {
        Launched();
        RequireSame(y, x);
        double[] values = Load(x);
        double[] factors = Factors(dropout, values.Length);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] *= factors[i];
        }

        Store(y, values, accumulate);
    }

    /// <inheritdoc/>
    public override void ActivationForward(Tensor y, Tensor x, Activation activation)
    {
        Launched();
        RequireSame(y, x);
        Store(y, Array.ConvertAll(Load(x), value => Scalar.Activate(value, activation)));
    }

    /// <inheritdoc/>
    public override void ActivationBackward(Tensor dx, Tensor dy, Tensor preActivation, Activation activation)
    {
        Launched();
        RequireSame(dx, dy);
        RequireSame(dx, preActivation);
        double[] slopes = Array.ConvertAll(Load(preActivation), value => Scalar.Slope(value, activation));
        Store(dx, Multiply(Load(dy), slopes));
    }

    /// <inheritdoc/>
    public override void GatedForward(Tensor y, Tensor gate, Tensor up, Activation activation)
    {
        Launched();
        RequireSame(y, gate);
        RequireSame(y, up);
        double[] g = Load(gate);
        double[] u = Load(up);
        double[] result = new double[g.Length];
        for (int i = 0; i < g.Length; i++)
        {
            result[i] = Scalar.Activate(g[i], activation) * u[i];
        }

        Store(y, result);
    }

    /// <inheritdoc/>
    public override void GatedBackward(Tensor dgate, Tensor dup, Tensor dy, Tensor gate, Tensor up, Activation activation)
    {
        Launched();
        RequireSame(dgate, gate);
        RequireSame(dup, up);
        RequireSame(dy, gate);
        double[] g = Load(gate);
        double[] u = Load(up);
        double[] d = Load(dy);
        double[] toGate = new double[g.Length];
        double[] toUp = new double[g.Length];
        for (int i = 0; i < g.Length; i++)
        {
            toGate[i] = d[i] * u[i] * Scalar.Slope(g[i], activation);
            toUp[i] = d[i] * Scalar.Activate(g[i], activation);
        }

        Store(dgate, toGate);
        Store(dup, toUp);
    }

    /// <summary>The factors (0 or 1 / (1 - rate)) of elements 0, 1, ...; ones where nothing is dropped.</summary>
    private static double[] Factors(Dropout? dropout, int count)
    {
        double[] factors = new double[count];
        if (dropout is null)
        {
            Array.Fill(factors, 1);
            return factors;
        }

        if (dropout.KeepMask is { } mask)
        {
            Require(mask.Count == count, $"A keep mask {mask} does not cover {count} elements.");
            return Load(mask);
        }

        Require(dropout.State is not null, "A dropout needs a state or a mask.");
        int[] state = Integers(dropout.State!);
        double rate = dropout.Rate;
        for (int e = 0; e < count; e++)
        {
            uint[] words = Philox.Words(
                [(uint)(e / 4), (uint)dropout.Site, (uint)state[2], (uint)state[3]], [(uint)state[0], (uint)state[1]]);
            double uniform = (words[e % 4] >> 8) * Math.Pow(2, -24);
            factors[e] = uniform >= rate ? 1 / (1 - rate) : 0;
        }

        return factors;
    }
}
