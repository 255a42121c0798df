using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>An activation and its derivative as a type, so that a loop is compiled with the function inside.</summary>
internal interface IActivation
{
    /// <summary>f(x)</summary>
    static abstract Vector256<float> Value(Vector256<float> x);

    /// <summary>f'(x)</summary>
    static abstract Vector256<float> Slope(Vector256<float> x);
}

internal readonly struct IdentityActivation : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Value(Vector256<float> x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Slope(Vector256<float> x) => Vector256<float>.One;
}

internal readonly struct ReluActivation : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Value(Vector256<float> x) => VectorMath.Relu<Simd256, Vector256<float>>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Slope(Vector256<float> x) => VectorMath.ReluDerivative<Simd256, Vector256<float>>(x);
}

internal readonly struct GeluErfActivation : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Value(Vector256<float> x) => VectorMath.GeluErf<Simd256, Vector256<float>>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Slope(Vector256<float> x) => VectorMath.GeluErfDerivative<Simd256, Vector256<float>>(x);
}

internal readonly struct GeluTanhActivation : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Value(Vector256<float> x) => VectorMath.GeluTanh<Simd256, Vector256<float>>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Slope(Vector256<float> x) => VectorMath.GeluTanhDerivative<Simd256, Vector256<float>>(x);
}

internal readonly struct QuickGeluActivation : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Value(Vector256<float> x) => VectorMath.QuickGelu<Simd256, Vector256<float>>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Slope(Vector256<float> x) => VectorMath.QuickGeluDerivative<Simd256, Vector256<float>>(x);
}

internal readonly struct SiluActivation : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Value(Vector256<float> x) => VectorMath.Silu<Simd256, Vector256<float>>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Slope(Vector256<float> x) => VectorMath.SiluDerivative<Simd256, Vector256<float>>(x);
}

internal readonly struct TanhActivation : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Value(Vector256<float> x) => VectorMath.Tanh<Simd256, Vector256<float>>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Slope(Vector256<float> x) => VectorMath.TanhDerivative<Simd256, Vector256<float>>(x);
}
