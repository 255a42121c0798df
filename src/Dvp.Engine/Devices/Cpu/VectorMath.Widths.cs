using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

// The functions under plain names for each vector width.
internal static partial class VectorMath
{
    /// <summary>e^x</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Exp(Vector256<float> x) => Exp<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="Exp(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Exp(Vector512<float> x) => Exp<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="Exp(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> Exp(Vector<float> x) => Exp<SimdAny, Vector<float>>(x);

    /// <summary>Phi(-x) for x &gt;= 0</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> NormalTail(Vector256<float> x) => NormalTail<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="NormalTail(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> NormalTail(Vector512<float> x) => NormalTail<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="NormalTail(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> NormalTail(Vector<float> x) => NormalTail<SimdAny, Vector<float>>(x);

    /// <summary>tanh(x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Tanh(Vector256<float> x) => Tanh<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="Tanh(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Tanh(Vector512<float> x) => Tanh<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="Tanh(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> Tanh(Vector<float> x) => Tanh<SimdAny, Vector<float>>(x);

    /// <summary>1 / (1 + e^-x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Sigmoid(Vector256<float> x) => Sigmoid<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="Sigmoid(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Sigmoid(Vector512<float> x) => Sigmoid<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="Sigmoid(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> Sigmoid(Vector<float> x) => Sigmoid<SimdAny, Vector<float>>(x);

    /// <summary>max(x, 0)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Relu(Vector256<float> x) => Relu<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="Relu(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Relu(Vector512<float> x) => Relu<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="Relu(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> Relu(Vector<float> x) => Relu<SimdAny, Vector<float>>(x);

    /// <summary>1 where x &gt; 0, else 0</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> ReluDerivative(Vector256<float> x) => ReluDerivative<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="ReluDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> ReluDerivative(Vector512<float> x) => ReluDerivative<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="ReluDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> ReluDerivative(Vector<float> x) => ReluDerivative<SimdAny, Vector<float>>(x);

    /// <summary>x Phi(x) = x/2 (1 + erf(x / sqrt 2)); exactly zero from -5.55 down.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> GeluErf(Vector256<float> x) => GeluErf<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="GeluErf(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> GeluErf(Vector512<float> x) => GeluErf<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="GeluErf(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> GeluErf(Vector<float> x) => GeluErf<SimdAny, Vector<float>>(x);

    /// <summary>Phi(x) + x phi(x) with the normal density phi(x) = e^(-x^2/2) / sqrt(2 pi)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> GeluErfDerivative(Vector256<float> x) => GeluErfDerivative<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="GeluErfDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> GeluErfDerivative(Vector512<float> x) => GeluErfDerivative<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="GeluErfDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> GeluErfDerivative(Vector<float> x) => GeluErfDerivative<SimdAny, Vector<float>>(x);

    /// <summary>x/2 (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3), as x sigmoid(2 u), which keeps small results accurate</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> GeluTanh(Vector256<float> x) => GeluTanh<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="GeluTanh(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> GeluTanh(Vector512<float> x) => GeluTanh<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="GeluTanh(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> GeluTanh(Vector<float> x) => GeluTanh<SimdAny, Vector<float>>(x);

    /// <summary>s + x s (1 - s) u' with s = sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> GeluTanhDerivative(Vector256<float> x) => GeluTanhDerivative<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="GeluTanhDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> GeluTanhDerivative(Vector512<float> x) => GeluTanhDerivative<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="GeluTanhDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> GeluTanhDerivative(Vector<float> x) => GeluTanhDerivative<SimdAny, Vector<float>>(x);

    /// <summary>x sigmoid(1.702 x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> QuickGelu(Vector256<float> x) => QuickGelu<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="QuickGelu(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> QuickGelu(Vector512<float> x) => QuickGelu<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="QuickGelu(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> QuickGelu(Vector<float> x) => QuickGelu<SimdAny, Vector<float>>(x);

    /// <summary>s + 1.702 x s (1 - s) with s = sigmoid(1.702 x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> QuickGeluDerivative(Vector256<float> x) => QuickGeluDerivative<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="QuickGeluDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> QuickGeluDerivative(Vector512<float> x) => QuickGeluDerivative<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="QuickGeluDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> QuickGeluDerivative(Vector<float> x) => QuickGeluDerivative<SimdAny, Vector<float>>(x);

    /// <summary>x sigmoid(x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Silu(Vector256<float> x) => Silu<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="Silu(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Silu(Vector512<float> x) => Silu<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="Silu(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> Silu(Vector<float> x) => Silu<SimdAny, Vector<float>>(x);

    /// <summary>s + x s (1 - s) with s = sigmoid(x)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> SiluDerivative(Vector256<float> x) => SiluDerivative<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="SiluDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> SiluDerivative(Vector512<float> x) => SiluDerivative<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="SiluDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> SiluDerivative(Vector<float> x) => SiluDerivative<SimdAny, Vector<float>>(x);

    /// <summary>1 - tanh(x)^2</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> TanhDerivative(Vector256<float> x) => TanhDerivative<Simd256, Vector256<float>>(x);

    /// <inheritdoc cref="TanhDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> TanhDerivative(Vector512<float> x) => TanhDerivative<Simd512, Vector512<float>>(x);

    /// <inheritdoc cref="TanhDerivative(Vector256{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<float> TanhDerivative(Vector<float> x) => TanhDerivative<SimdAny, Vector<float>>(x);
}
