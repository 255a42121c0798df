using System.Runtime.CompilerServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// Elementary functions on vectors of floats: exponential, normal distribution, tanh, sigmoid, and the activations with their derivatives.
/// </summary>
/// <remarks>
/// <para>The exponential reduces its argument to |r| &lt;= ln(2)/2 and evaluates a polynomial of degree 6; tanh is a quotient of
/// polynomials in x^2 (relative error 2.3e-8 before rounding); the normal distribution function is a power of a polynomial.</para>
/// <para>Every function gives the same bits in every vector width on machines with fused multiply-add.</para>
/// </remarks>
internal static partial class VectorMath
{
    private const float Log2E = 1.44269504f;

    // ln 2 in two parts: the upper one has few enough bits that its product with a whole number below 256 is exact.
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;

    // Beyond these every result has become infinite or zero.
    private const float ExpHighest = 89f;
    private const float ExpLowest = -104f;

    // From here on tanh is 1 in float.
    private const float TanhOne = 9.02f;

    /// <summary>e^x. Infinity from 88.73 on, zero from -103.98 down (minus infinity included), NaN for NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Exp<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        x = TSimd.Max(TSimd.Create(ExpLowest), TSimd.Min(TSimd.Create(ExpHighest), x));
        TVector rounding = TSimd.Create(SimdConstants.Rounding);
        TVector biased = TSimd.MultiplyAdd(x, TSimd.Create(Log2E), rounding);
        TVector n = TSimd.Subtract(biased, rounding);
        TVector r = TSimd.MultiplyAdd(n, TSimd.Create(-Ln2High), x);
        r = TSimd.MultiplyAdd(n, TSimd.Create(-Ln2Low), r);
        TVector p = TSimd.MultiplyAdd(TSimd.Create(1.39012784e-3f), r, TSimd.Create(8.36314633e-3f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(4.16668535e-2f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(1.66665773e-1f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(4.99999996e-1f));
        p = TSimd.MultiplyAdd(p, TSimd.Multiply(r, r), r);
        p = TSimd.Add(p, TSimd.Create(1f));
        TSimd.PowersOfTwo(biased, out TVector first, out TVector second);
        return TSimd.Multiply(TSimd.Multiply(p, first), second);
    }

    /// <summary>Phi(-z) for z &gt;= 0: the probability that a normal number exceeds z, as 1/2 p(z)^-16 with a polynomial p.</summary>
    /// <remarks>The form makes z Phi(-z), what GELU needs, good to 1e-7 everywhere and zero far out.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector NormalTail<TSimd, TVector>(TVector z)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector p = TSimd.MultiplyAdd(TSimd.Create(1.71916765e-7f), z, TSimd.Create(-1.34771345e-6f));
        p = TSimd.MultiplyAdd(p, z, TSimd.Create(8.82739479e-6f));
        p = TSimd.MultiplyAdd(p, z, TSimd.Create(4.65798299e-5f));
        p = TSimd.MultiplyAdd(p, z, TSimd.Create(3.48878740e-5f));
        p = TSimd.MultiplyAdd(p, z, TSimd.Create(3.28259136e-3f));
        p = TSimd.MultiplyAdd(p, z, TSimd.Create(2.11390594e-2f));
        p = TSimd.MultiplyAdd(p, z, TSimd.Create(4.98675049e-2f));
        p = TSimd.MultiplyAdd(p, z, TSimd.Create(1f));
        p = TSimd.Multiply(p, p);
        p = TSimd.Multiply(p, p);
        p = TSimd.Multiply(p, p);
        return TSimd.Divide(TSimd.Create(0.5f), TSimd.Multiply(p, p));
    }

    /// <summary>tanh(x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Tanh<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector t = TSimd.Multiply(x, x);
        TVector p = TSimd.MultiplyAdd(TSimd.Create(1.31787376e-8f), t, TSimd.Create(2.04822816e-5f));
        TVector q = TSimd.MultiplyAdd(TSimd.Create(7.70460658e-7f), t, TSimd.Create(3.27303835e-4f));
        p = TSimd.MultiplyAdd(p, t, TSimd.Create(3.48788780e-3f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(2.58476918e-2f));
        p = TSimd.MultiplyAdd(p, t, TSimd.Create(1.33745435e-1f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(4.67078574e-1f));
        p = TSimd.MultiplyAdd(p, t, TSimd.Create(9.99999977e-1f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(1f));

        // Beyond the bound 1 with the sign of x, and never more than 1; NaN passes, because no comparison holds for it.
        TVector one = TSimd.Create(1f);
        TVector sign = TSimd.And(x, TSimd.Create(-0f));
        TVector magnitude = TSimd.Min(one, TSimd.Divide(TSimd.Multiply(TSimd.Xor(x, sign), p), q));
        magnitude = TSimd.Select(TSimd.LessThan(TSimd.Create(TanhOne * TanhOne), t), one, magnitude);
        return TSimd.Or(magnitude, sign);
    }

    /// <summary>1 / (1 + e^-x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Sigmoid<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector one = TSimd.Create(1f);
        return TSimd.Divide(one, TSimd.Add(one, Exp<TSimd, TVector>(TSimd.Subtract(TSimd.Create(0f), x))));
    }

    /// <summary>1 / (1 + e^-x), and 1 minus it without cancellation: what derivatives are made of.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Sigmoid<TSimd, TVector>(TVector x, out TVector rest)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector one = TSimd.Create(1f);
        TVector e = Exp<TSimd, TVector>(TSimd.Min(TSimd.Create(80f), TSimd.Subtract(TSimd.Create(0f), x)));
        TVector sigmoid = TSimd.Divide(one, TSimd.Add(one, e));
        rest = TSimd.Multiply(e, sigmoid);
        return sigmoid;
    }
}
