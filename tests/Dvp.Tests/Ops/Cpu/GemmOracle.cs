using Dvp.Engine.Devices;
using Xunit;

namespace Dvp.Tests.Ops.Cpu;

/// <summary>Matrix products and activations in double, with the bound of a float result's rounding error.</summary>
internal static class GemmOracle
{
    /// <summary>The activation in double.</summary>
    internal static double Activate(Activation activation, double x) => activation switch
    {
        Activation.None => x,
        Activation.Relu => Math.Max(x, 0),
        Activation.GeluErf => 0.5 * x * (1 + Erf(x / Math.Sqrt(2))),
        Activation.GeluTanh => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        Activation.QuickGelu => x / (1 + Math.Exp(-1.702 * x)),
        Activation.Silu => x / (1 + Math.Exp(-x)),
        Activation.Tanh => Math.Tanh(x),
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };

    // The series converges for every x; beyond 4 its terms cancel, and there erf is 1 to 1e-8.
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 4)
        {
            return Math.Sign(x);
        }

        double term = x;
        double sum = x;
        for (int n = 1; n < 120; n++)
        {
            term *= -x * x / n;
            sum += term / ((2 * n) + 1);
        }

        return 2 / Math.Sqrt(Math.PI) * sum;
    }

    /// <summary>Value and bound of the rounding error of row i of X times row j of W, plus a start value.</summary>
    internal static (double Value, double Bound) Exact(int terms, Func<int, double> a, Func<int, double> b, double start)
    {
        double sum = start;
        double magnitude = Math.Abs(start);
        for (int k = 0; k < terms; k++)
        {
            sum += a(k) * b(k);
            magnitude += Math.Abs(a(k) * b(k));
        }

        return (sum, (terms + 4) * 6e-8 * magnitude);
    }

    /// <summary>Fails where the value is further off than the bound and what an activation may add.</summary>
    internal static void Check(float actual, double expected, double bound, string what) =>
        Assert.True(
            Math.Abs(actual - expected) <= bound + (1e-6 * Math.Abs(expected)) + 5e-7,
            $"{what}: {actual:R}, expected {expected:R} to {bound:G2}");
}
