using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// The few operations on a vector of floats from which the numeric loops are written once for every vector width. Each method is one
/// instruction (or the software form of one) and disappears in the caller: types and methods are known when the loop is compiled.
/// </summary>
/// <typeparam name="TVector">
/// The vector: <see cref="Vector256{T}"/>, <see cref="Vector512{T}"/> or <see cref="Vector{T}"/> of float.
/// </typeparam>
internal unsafe interface ISimd<TVector>
    where TVector : struct
{
    /// <summary>Floats in a vector.</summary>
    static abstract int Count { get; }

    /// <summary>All elements equal to the value.</summary>
    static abstract TVector Create(float value);

    /// <summary>Unaligned load.</summary>
    static abstract TVector Load(float* source);

    /// <summary>Unaligned store.</summary>
    static abstract void Store(TVector value, float* destination);

    /// <summary>The bits of 16-bit elements as the lower halves of 32-bit ones.</summary>
    static abstract TVector LoadWidened(ushort* source);

    /// <summary>The bits of 16-bit elements as 32-bit ones, the uppermost bit repeated.</summary>
    static abstract TVector LoadSignExtended(short* source);

    /// <summary>a + b</summary>
    static abstract TVector Add(TVector a, TVector b);

    /// <summary>a - b</summary>
    static abstract TVector Subtract(TVector a, TVector b);

    /// <summary>a b</summary>
    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a / b</summary>
    static abstract TVector Divide(TVector a, TVector b);

    /// <summary>a b + c, rounded once where the machine can.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>The smaller one; where an element of <paramref name="b"/> is NaN, NaN on x86.</summary>
    static abstract TVector Min(TVector a, TVector b);

    /// <summary>The larger one; where an element of <paramref name="b"/> is NaN, NaN on x86.</summary>
    static abstract TVector Max(TVector a, TVector b);

    /// <summary>All bits set where a &lt; b.</summary>
    static abstract TVector LessThan(TVector a, TVector b);

    /// <summary>Per bit: <paramref name="a"/> where the mask is set, else <paramref name="b"/>.</summary>
    static abstract TVector Select(TVector mask, TVector a, TVector b);

    /// <summary>Bitwise a &amp; b.</summary>
    static abstract TVector And(TVector a, TVector b);

    /// <summary>Bitwise a &amp; ~b.</summary>
    static abstract TVector AndNot(TVector a, TVector b);

    /// <summary>Bitwise a ^ b.</summary>
    static abstract TVector Xor(TVector a, TVector b);

    /// <summary>Bitwise a | b.</summary>
    static abstract TVector Or(TVector a, TVector b);

    /// <summary>Bits shifted left as 32-bit integers.</summary>
    static abstract TVector ShiftLeft(TVector a, [ConstantExpected] int bits);

    /// <summary>Binary16 bits in the lower halves of 32-bit elements, as floats: subnormals, infinities and NaN included.</summary>
    static abstract TVector HalfToSingle(TVector bits);

    /// <summary>As <see cref="HalfToSingle"/> at a third of the price, for finite numbers.</summary>
    /// <param name="bits">The 16 bits, the sign repeated above them.</param>
    static abstract TVector FiniteHalfToSingle(TVector bits);

    /// <summary>
    /// 2^floor(n/2) and 2^(n - floor(n/2)) for whole numbers n from -252 to 254, given as n + 1.5 2^23: in two factors, so that neither
    /// overflows.
    /// </summary>
    static abstract void PowersOfTwo(TVector biased, out TVector first, out TVector second);
}

/// <summary>Shared by the three widths.</summary>
internal static class SimdConstants
{
    /// <summary>1.5 2^23: adding it rounds a float of small magnitude to a whole number, which then stands in the low bits.</summary>
    internal const float Rounding = 12582912f;

    /// <summary>2^112: 127 - 15 more in the exponent.</summary>
    internal const float HalfBias = 5.19229686e33f;

    /// <summary>The bits of <see cref="Rounding"/>.</summary>
    internal const int RoundingBits = 0x4B400000;
}
