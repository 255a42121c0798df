using System.Numerics;
using System.Runtime.Intrinsics;
using Dvp.Engine.Devices.Cpu;
using Xunit;

namespace Dvp.Tests.Ops.Cpu;

public sealed class VectorMathTests
{
    private delegate Vector256<float> Function256(Vector256<float> x);

    private delegate Vector512<float> Function512(Vector512<float> x);

    private delegate Vector<float> FunctionAny(Vector<float> x);

    private static double Cumulative(double x) => 0.5 * Erfc(-x / Math.Sqrt(2));

    // erfc by its series below 2.5 and its continued fraction above: slow, good to 1e-14.
    private static double Erfc(double x)
    {
        if (x < 0)
        {
            return 2 - Erfc(-x);
        }

        if (x < 2.5)
        {
            double term = x;
            double sum = x;
            for (int n = 1; n < 100; n++)
            {
                term *= -x * x / n;
                sum += term / ((2 * n) + 1);
            }

            return 1 - (2 / Math.Sqrt(Math.PI) * sum);
        }

        double fraction = x;
        for (int n = 200; n > 0; n--)
        {
            fraction = x + (n / 2.0 / fraction);
        }

        return Math.Exp(-x * x) / Math.Sqrt(Math.PI) / fraction;
    }

    private static double Logistic(double x) => 1 / (1 + Math.Exp(-x));

    private static double TanhArgument(double x) => Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x));

    // The function in every width, its exact value, absolute and relative tolerance.
    private sealed record Case(
        string Name, Function256 F, Function512 F512, FunctionAny Any, Func<double, double> Exact, double Absolute, double Relative);

    private static Case[] Functions =>
    [
        new("exp", VectorMath.Exp, VectorMath.Exp, VectorMath.Exp, Math.Exp, 0, 2e-7),
        new("tail", VectorMath.NormalTail, VectorMath.NormalTail, VectorMath.NormalTail, x => Cumulative(-x), 1e-7, 2e-6),
        new("tanh", VectorMath.Tanh, VectorMath.Tanh, VectorMath.Tanh, Math.Tanh, 0, 3e-7),
        new("sigmoid", VectorMath.Sigmoid, VectorMath.Sigmoid, VectorMath.Sigmoid, Logistic, 2e-38, 3e-7),
        new("relu", VectorMath.Relu, VectorMath.Relu, VectorMath.Relu, x => Math.Max(x, 0), 0, 0),
        new("relu'", VectorMath.ReluDerivative, VectorMath.ReluDerivative, VectorMath.ReluDerivative, x => x > 0 ? 1 : 0, 0, 0),
        new("gelu", VectorMath.GeluErf, VectorMath.GeluErf, VectorMath.GeluErf, x => x * Cumulative(x), 4e-7, 2e-7),
        new("gelu'", VectorMath.GeluErfDerivative, VectorMath.GeluErfDerivative, VectorMath.GeluErfDerivative,
            x => Cumulative(x) + (x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI)), 8e-7, 0),
        new("gelu tanh", VectorMath.GeluTanh, VectorMath.GeluTanh, VectorMath.GeluTanh, x => x * Logistic(2 * TanhArgument(x)), 1e-36, 2e-5),
        new("gelu tanh'", VectorMath.GeluTanhDerivative, VectorMath.GeluTanhDerivative, VectorMath.GeluTanhDerivative,
            GeluTanhDerivative, 6e-7, 0),
        new("quick gelu", VectorMath.QuickGelu, VectorMath.QuickGelu, VectorMath.QuickGelu, x => x * Logistic(1.702 * x), 1e-36, 6e-6),
        new("quick gelu'", VectorMath.QuickGeluDerivative, VectorMath.QuickGeluDerivative, VectorMath.QuickGeluDerivative,
            x => Slope(1.702 * x), 4e-7, 0),
        new("silu", VectorMath.Silu, VectorMath.Silu, VectorMath.Silu, x => x * Logistic(x), 1e-36, 4e-7),
        new("silu'", VectorMath.SiluDerivative, VectorMath.SiluDerivative, VectorMath.SiluDerivative, Slope, 4e-7, 0),
        new("tanh'", VectorMath.TanhDerivative, VectorMath.TanhDerivative, VectorMath.TanhDerivative,
            x => 1 - (Math.Tanh(x) * Math.Tanh(x)), 6e-7, 0),
    ];

    public static TheoryData<int> Indexes => new(Enumerable.Range(0, Functions.Length));

    private static double Slope(double x) => Logistic(x) + (x * Logistic(x) * Logistic(-x));

    private static double GeluTanhDerivative(double x)
    {
        double t = Math.Tanh(TanhArgument(x));
        return (0.5 * (1 + t)) + (0.5 * x * (1 - (t * t)) * Math.Sqrt(2 / Math.PI) * (1 + (3 * 0.044715 * x * x)));
    }

    private static IEnumerable<float> Arguments()
    {
        for (double x = -88; x <= 88; x += 0.0391)
        {
            yield return (float)x;
        }

        for (double x = -6; x <= 6; x += 0.00173)
        {
            yield return (float)x;
        }

        for (float x = 1e-30f; x < 1; x *= 1.7f)
        {
            yield return x;
            yield return -x;
        }

        yield return 0;
    }

    [Theory]
    [MemberData(nameof(Indexes))]
    public void Values_are_accurate_in_every_width(int index)
    {
        var (name, f, f512, any, exact, absolute, relative) = Functions[index];
        foreach (float argument in Arguments())
        {
            float x = name is "tail" ? Math.Abs(argument) : argument;
            float y = f(Vector256.Create(x))[0];
            double expected = exact(x);
            double bound = absolute + (relative * Math.Abs(expected));
            Assert.True(Math.Abs(y - expected) <= bound, $"{name}({x:R}) = {y:R}, expected {expected:R}");
            Assert.Equal(BitConverter.SingleToUInt32Bits(y), BitConverter.SingleToUInt32Bits(f512(Vector512.Create(x))[15]));
            Assert.Equal(BitConverter.SingleToUInt32Bits(y), BitConverter.SingleToUInt32Bits(any(Vector.Create(x))[0]));
        }
    }

    [Theory]
    [MemberData(nameof(Indexes))]
    public void Lanes_do_not_mix_and_nan_stays_nan(int index)
    {
        var (name, f, _, _, _, _, _) = Functions[index];
        var x = Vector256.Create(-3.5f, -1.25f, -0.5f, 0.125f, 0.75f, 1.5f, 2.25f, 4f);
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal(f(Vector256.Create(x[i]))[3], f(x)[i]);
        }

        if (name is not "relu'")
        {
            Assert.True(float.IsNaN(f(Vector256.Create(float.NaN))[0]), name);
        }
    }

    [Fact]
    public void Limits_are_exact()
    {
        Assert.Equal(0f, VectorMath.Exp(Vector256.Create(float.NegativeInfinity))[0]);
        Assert.Equal(float.PositiveInfinity, VectorMath.Exp(Vector256.Create(float.PositiveInfinity))[0]);
        Assert.Equal(float.PositiveInfinity, VectorMath.Exp(Vector256.Create(88.7229f))[0]);
        Assert.Equal(1f, VectorMath.Exp(Vector256.Create(0f))[0]);
        Assert.Equal(MathF.Exp(-95f), VectorMath.Exp(Vector256.Create(-95f))[0], 1e-44f);
        Assert.Equal(0f, VectorMath.Sigmoid(Vector256.Create(float.NegativeInfinity))[0]);
        Assert.Equal(1f, VectorMath.Sigmoid(Vector256.Create(float.PositiveInfinity))[0]);
        Assert.Equal(-1f, VectorMath.Tanh(Vector256.Create(float.NegativeInfinity))[0]);
        Assert.Equal(1f, VectorMath.Tanh(Vector256.Create(9.1f))[0]);
        Assert.Equal(0f, VectorMath.GeluErf(Vector256.Create(-1e30f))[0]);
        Assert.Equal(1e30f, VectorMath.GeluErf(Vector256.Create(1e30f))[0]);
    }
}
