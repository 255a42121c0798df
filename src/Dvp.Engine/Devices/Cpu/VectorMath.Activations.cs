using System.Runtime.CompilerServices;

namespace Dvp.Engine.Devices.Cpu;

// The activations and their derivatives.
internal static partial class VectorMath
{
    // From here on x Phi(-x) is zero in float; the bound keeps the powers of larger numbers from meeting 0 times infinity.
    private const float GeluFar = 20f;

    // sqrt(2 / pi) and the cubic term of the tanh form of GELU.
    private const float GeluTanhScale = 0.797884561f;
    private const float GeluTanhCubic = 0.044715f;

    private const float QuickGeluScale = 1.702f;

    /// <summary>max(x, 0)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Relu<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        return TSimd.Max(TSimd.Create(0f), x);
    }

    /// <summary>1 where x &gt; 0, else 0</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector ReluDerivative<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        return TSimd.And(TSimd.LessThan(TSimd.Create(0f), x), TSimd.Create(1f));
    }

    /// <summary>x Phi(x) = x/2 (1 + erf(x / sqrt 2)), as max(x, 0) - |x| Phi(-|x|)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector GeluErf<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector z = TSimd.Min(TSimd.Create(GeluFar), TSimd.AndNot(x, TSimd.Create(-0f)));
        return TSimd.Subtract(Relu<TSimd, TVector>(x), TSimd.Multiply(z, NormalTail<TSimd, TVector>(z)));
    }

    /// <summary>
    /// Phi(x) + x phi(x) with the normal density phi(x) = e^(-x^2/2) / sqrt(2 pi): 1/2 plus an odd function, a quotient of polynomials in
    /// x^2 fitted for the smallest relative error (7.5e-9 before rounding) up to 6; beyond, the derivative is 0 or 1.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector GeluErfDerivative<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector t = TSimd.Multiply(x, x);
        TVector q = TSimd.MultiplyAdd(TSimd.Create(1.29071822e-9f), t, TSimd.Create(3.21993243e-7f));
        TVector p = TSimd.MultiplyAdd(TSimd.Create(1.65023870e-8f), t, TSimd.Create(8.65781777e-7f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(1.00496233e-5f));
        p = TSimd.MultiplyAdd(p, t, TSimd.Create(3.40985067e-5f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(2.40085718e-4f));
        p = TSimd.MultiplyAdd(p, t, TSimd.Create(1.82203743e-4f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(3.91376739e-3f));
        p = TSimd.MultiplyAdd(p, t, TSimd.Create(1.39013983e-2f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(4.37199949e-2f));
        p = TSimd.MultiplyAdd(p, t, TSimd.Create(-2.34925417e-2f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(3.03889631e-1f));
        p = TSimd.MultiplyAdd(p, t, TSimd.Create(7.97884555e-1f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Create(1f));
        TVector inside = TSimd.Add(TSimd.Divide(TSimd.Multiply(x, p), q), TSimd.Create(0.5f));
        TVector beyond = TSimd.And(TSimd.LessThan(TSimd.Create(0f), x), TSimd.Create(1f));
        return TSimd.Select(TSimd.LessThan(TSimd.Create(36f), t), beyond, inside);
    }

    /// <summary>x/2 (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3), as x sigmoid(2 u), which keeps small results accurate</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector GeluTanh<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector square = TSimd.Multiply(x, x);
        TVector cubic = TSimd.MultiplyAdd(square, TSimd.Create(2f * GeluTanhScale * GeluTanhCubic), TSimd.Create(2f * GeluTanhScale));
        return TSimd.Multiply(x, Sigmoid<TSimd, TVector>(TSimd.Multiply(x, cubic)));
    }

    /// <summary>s + x s (1 - s) u' with s = sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector GeluTanhDerivative<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector square = TSimd.Multiply(x, x);
        TVector cubic = TSimd.MultiplyAdd(square, TSimd.Create(2f * GeluTanhScale * GeluTanhCubic), TSimd.Create(2f * GeluTanhScale));
        TVector slope = TSimd.MultiplyAdd(square, TSimd.Create(6f * GeluTanhScale * GeluTanhCubic), TSimd.Create(2f * GeluTanhScale));
        TVector s = Sigmoid<TSimd, TVector>(TSimd.Multiply(x, cubic), out TVector rest);
        return TSimd.MultiplyAdd(TSimd.Multiply(TSimd.Multiply(x, slope), rest), s, s);
    }

    /// <summary>x sigmoid(1.702 x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector QuickGelu<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        return TSimd.Multiply(x, Sigmoid<TSimd, TVector>(TSimd.Multiply(x, TSimd.Create(QuickGeluScale))));
    }

    /// <summary>s + 1.702 x s (1 - s) with s = sigmoid(1.702 x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector QuickGeluDerivative<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector scaled = TSimd.Multiply(x, TSimd.Create(QuickGeluScale));
        TVector s = Sigmoid<TSimd, TVector>(scaled, out TVector rest);
        return TSimd.MultiplyAdd(TSimd.Multiply(scaled, rest), s, s);
    }

    /// <summary>x sigmoid(x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Silu<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        return TSimd.Multiply(x, Sigmoid<TSimd, TVector>(x));
    }

    /// <summary>s + x s (1 - s) with s = sigmoid(x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector SiluDerivative<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector s = Sigmoid<TSimd, TVector>(x, out TVector rest);
        return TSimd.MultiplyAdd(TSimd.Multiply(x, rest), s, s);
    }

    /// <summary>1 - tanh(x)^2</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector TanhDerivative<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector y = Tanh<TSimd, TVector>(x);
        return TSimd.MultiplyAdd(TSimd.Subtract(TSimd.Create(0f), y), y, TSimd.Create(1f));
    }
}
