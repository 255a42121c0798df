using Dvp.Engine.Devices;

namespace Dvp.Tests.Oracle;

/// <summary>Scalar functions and their derivatives in double precision.</summary>
internal static class Scalar
{
    private const double GeluTanhCubic = 0.044715;
    private static readonly double s_rootTwoOverPi = Math.Sqrt(2 / Math.PI);

    /// <summary>The value of an activation.</summary>
    internal static double Activate(double x, Activation activation) => activation switch
    {
        Activation.None => x,
        Activation.Relu => Math.Max(x, 0),
        Activation.GeluErf => x * NormalDistribution(x),
        Activation.GeluTanh => x / 2 * (1 + Math.Tanh(s_rootTwoOverPi * (x + (GeluTanhCubic * x * x * x)))),
        Activation.QuickGelu => x * Sigmoid(1.702 * x),
        Activation.Silu => x * Sigmoid(x),
        Activation.Tanh => Math.Tanh(x),
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };

    /// <summary>The derivative of an activation; that of ReLU at 0 is 0.</summary>
    internal static double Slope(double x, Activation activation)
    {
        switch (activation)
        {
            case Activation.None:
                return 1;
            case Activation.Relu:
                return x > 0 ? 1 : 0;
            case Activation.GeluErf:
                return NormalDistribution(x) + (x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));
            case Activation.GeluTanh:
                double t = Math.Tanh(s_rootTwoOverPi * (x + (GeluTanhCubic * x * x * x)));
                return ((1 + t) / 2) + (x / 2 * (1 - (t * t)) * s_rootTwoOverPi * (1 + (3 * GeluTanhCubic * x * x)));
            case Activation.QuickGelu:
                double q = Sigmoid(1.702 * x);
                return q + (1.702 * x * q * (1 - q));
            case Activation.Silu:
                double s = Sigmoid(x);
                return s + (x * s * (1 - s));
            case Activation.Tanh:
                double h = Math.Tanh(x);
                return 1 - (h * h);
            default:
                throw new ArgumentOutOfRangeException(nameof(activation));
        }
    }

    /// <summary>1 / (1 + e^-x)</summary>
    internal static double Sigmoid(double x) => x >= 0 ? 1 / (1 + Math.Exp(-x)) : Math.Exp(x) / (1 + Math.Exp(x));

    /// <summary>log(1 + e^x)</summary>
    internal static double SoftPlus(double x) => Math.Max(x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)));

    /// <summary>The normal distribution function, erfc(-x / sqrt 2) / 2.</summary>
    internal static double NormalDistribution(double x)
    {
        double upper = ErrorFunctionComplement(Math.Abs(x) / Math.Sqrt(2)) / 2;
        return x < 0 ? upper : 1 - upper;
    }

    /// <summary>
    /// erfc(z) for z at or above 0: 1 - erf(z) by the series erf z = 2 / sqrt(pi) e^(-z^2) sum 2^n z^(2n+1) / (1 3 ... (2n+1)), and
    /// from 2.5
    /// by the continued fraction e^(-z^2) / sqrt(pi) 1/(z + (1/2)/(z + 1/(z + (3/2)/(z + ...)))) (Abramowitz and Stegun 7.1.6, 7.1.14).
    /// </summary>
    internal static double ErrorFunctionComplement(double z)
    {
        if (z < 2.5)
        {
            double term = z;
            double sum = z;
            for (int n = 1; term > 1e-18 * sum; n++)
            {
                term *= 2 * z * z / ((2 * n) + 1);
                sum += term;
            }

            return 1 - (2 / Math.Sqrt(Math.PI) * Math.Exp(-z * z) * sum);
        }

        double fraction = z;
        for (int n = 200; n >= 1; n--)
        {
            fraction = z + (n / 2.0 / fraction);
        }

        return Math.Exp(-z * z) / Math.Sqrt(Math.PI) / fraction;
    }
}
