using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// The few operations on a vector of floats from which the numeric loops are written once for every vector width. Each method is one
/// instruction (or the software form of one) and disappears in the caller: types and methods are known when the loop is compiled.
/// </summary>
/// <typeparam name="TVector">The vector: <see cref="Vector256{T}"/>, <see cref="Vector512{T}"/> or <see cref="Vector{T}"/> of float.</typeparam>
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

    /// <summary>2^floor(n/2) and 2^(n - floor(n/2)) for whole numbers n from -252 to 254, given as n + 1.5 2^23: in two factors, so that neither overflows.</summary>
    static abstract void PowersOfTwo(TVector biased, out TVector first, out TVector second);
}

/// <summary>AVX2 and, on other machines, pairs of 128-bit vectors.</summary>
internal readonly unsafe struct Simd256 : ISimd<Vector256<float>>
{
    public static int Count => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Create(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> value, float* destination) => value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadWidened(ushort* source) => Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> a, Vector256<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> a, Vector256<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> a, Vector256<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Divide(Vector256<float> a, Vector256<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) => Vector256.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Min(Vector256<float> a, Vector256<float> b) => Vector256.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Max(Vector256<float> a, Vector256<float> b) => Vector256.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LessThan(Vector256<float> a, Vector256<float> b) => Vector256.LessThan(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Select(Vector256<float> mask, Vector256<float> a, Vector256<float> b) => Vector256.ConditionalSelect(mask, a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> And(Vector256<float> a, Vector256<float> b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> AndNot(Vector256<float> a, Vector256<float> b) => Vector256.AndNot(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Xor(Vector256<float> a, Vector256<float> b) => a ^ b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Or(Vector256<float> a, Vector256<float> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ShiftLeft(Vector256<float> a, [ConstantExpected] int bits) => Vector256.ShiftLeft(a.AsInt32(), bits).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HalfToSingle(Vector256<float> bits)
    {
        // Exponents move by 112 = 127 - 15; those of infinities and NaN by as much again. Subnormals get the exponent of 2^-14 and lose
        // the leading 1 that came with it by a subtraction, which is exact and meets no subnormal float.
        Vector256<int> half = bits.AsInt32();
        Vector256<int> magnitude = (half & Vector256.Create(0x7FFF)) << 13;
        Vector256<int> normal = magnitude + Vector256.Create(112 << 23);
        Vector256<int> special = Vector256.GreaterThan(magnitude, Vector256.Create(0x0F7FFFFF)) & Vector256.Create(112 << 23);
        Vector256<float> subnormal = (magnitude + Vector256.Create(113 << 23)).AsSingle() - Vector256.Create(6.10351562e-5f);
        Vector256<int> small = Vector256.LessThan(magnitude, Vector256.Create(0x00800000));
        Vector256<int> value = Vector256.ConditionalSelect(small, subnormal.AsInt32(), normal + special);
        return (value | ((half & Vector256.Create(0x8000)) << 16)).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PowersOfTwo(Vector256<float> biased, out Vector256<float> first, out Vector256<float> second)
    {
        Vector256<int> n = biased.AsInt32() - Vector256.Create(SimdConstants.RoundingBits);
        Vector256<int> half = n >> 1;
        first = ((half + Vector256.Create(127)) << 23).AsSingle();
        second = ((n - half + Vector256.Create(127)) << 23).AsSingle();
    }
}

/// <summary>AVX-512 and, on other machines, pairs of 256-bit vectors.</summary>
internal readonly unsafe struct Simd512 : ISimd<Vector512<float>>
{
    public static int Count => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Create(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* destination) => value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadWidened(ushort* source) => Vector512.WidenLower(Vector256.Load(source).ToVector512Unsafe()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> a, Vector512<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Divide(Vector512<float> a, Vector512<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) => Vector512.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Min(Vector512<float> a, Vector512<float> b) => Vector512.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Max(Vector512<float> a, Vector512<float> b) => Vector512.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LessThan(Vector512<float> a, Vector512<float> b) => Vector512.LessThan(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Select(Vector512<float> mask, Vector512<float> a, Vector512<float> b) => Vector512.ConditionalSelect(mask, a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> And(Vector512<float> a, Vector512<float> b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> AndNot(Vector512<float> a, Vector512<float> b) => Vector512.AndNot(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Xor(Vector512<float> a, Vector512<float> b) => a ^ b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Or(Vector512<float> a, Vector512<float> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ShiftLeft(Vector512<float> a, [ConstantExpected] int bits) => Vector512.ShiftLeft(a.AsInt32(), bits).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> HalfToSingle(Vector512<float> bits)
    {
        // Exponents move by 112 = 127 - 15; those of infinities and NaN by as much again. Subnormals get the exponent of 2^-14 and lose
        // the leading 1 that came with it by a subtraction, which is exact and meets no subnormal float.
        Vector512<int> half = bits.AsInt32();
        Vector512<int> magnitude = (half & Vector512.Create(0x7FFF)) << 13;
        Vector512<int> normal = magnitude + Vector512.Create(112 << 23);
        Vector512<int> special = Vector512.GreaterThan(magnitude, Vector512.Create(0x0F7FFFFF)) & Vector512.Create(112 << 23);
        Vector512<float> subnormal = (magnitude + Vector512.Create(113 << 23)).AsSingle() - Vector512.Create(6.10351562e-5f);
        Vector512<int> small = Vector512.LessThan(magnitude, Vector512.Create(0x00800000));
        Vector512<int> value = Vector512.ConditionalSelect(small, subnormal.AsInt32(), normal + special);
        return (value | ((half & Vector512.Create(0x8000)) << 16)).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PowersOfTwo(Vector512<float> biased, out Vector512<float> first, out Vector512<float> second)
    {
        Vector512<int> n = biased.AsInt32() - Vector512.Create(SimdConstants.RoundingBits);
        Vector512<int> half = n >> 1;
        first = ((half + Vector512.Create(127)) << 23).AsSingle();
        second = ((n - half + Vector512.Create(127)) << 23).AsSingle();
    }
}

/// <summary>The width of the machine, whatever it is.</summary>
internal readonly unsafe struct SimdAny : ISimd<Vector<float>>
{
    public static int Count => Vector<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Create(float value) => Vector.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Load(float* source) => Vector.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector<float> value, float* destination) => value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> LoadWidened(ushort* source)
    {
        uint* wide = stackalloc uint[Vector<float>.Count];
        for (int i = 0; i < Vector<float>.Count; i++)
        {
            wide[i] = source[i];
        }

        return Vector.Load((float*)wide);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Add(Vector<float> a, Vector<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Subtract(Vector<float> a, Vector<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Multiply(Vector<float> a, Vector<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Divide(Vector<float> a, Vector<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> MultiplyAdd(Vector<float> a, Vector<float> b, Vector<float> c) => Vector.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Min(Vector<float> a, Vector<float> b) => Vector.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Max(Vector<float> a, Vector<float> b) => Vector.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> LessThan(Vector<float> a, Vector<float> b) => Vector.AsVectorSingle(Vector.LessThan(a, b));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Select(Vector<float> mask, Vector<float> a, Vector<float> b) => Vector.ConditionalSelect(mask, a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> And(Vector<float> a, Vector<float> b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> AndNot(Vector<float> a, Vector<float> b) => Vector.AndNot(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Xor(Vector<float> a, Vector<float> b) => a ^ b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Or(Vector<float> a, Vector<float> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> ShiftLeft(Vector<float> a, [ConstantExpected] int bits) =>
        Vector.AsVectorSingle(Vector.ShiftLeft(Vector.AsVectorInt32(a), bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> HalfToSingle(Vector<float> bits)
    {
        // Exponents move by 112 = 127 - 15; those of infinities and NaN by as much again. Subnormals get the exponent of 2^-14 and lose
        // the leading 1 that came with it by a subtraction, which is exact and meets no subnormal float.
        Vector<int> half = Vector.AsVectorInt32(bits);
        Vector<int> magnitude = (half & Vector.Create(0x7FFF)) << 13;
        Vector<int> normal = magnitude + Vector.Create(112 << 23);
        Vector<int> special = Vector.GreaterThan(magnitude, Vector.Create(0x0F7FFFFF)) & Vector.Create(112 << 23);
        Vector<float> subnormal = Vector.AsVectorSingle((magnitude + Vector.Create(113 << 23))) - Vector.Create(6.10351562e-5f);
        Vector<int> small = Vector.LessThan(magnitude, Vector.Create(0x00800000));
        Vector<int> value = Vector.ConditionalSelect(small, Vector.AsVectorInt32(subnormal), normal + special);
        return Vector.AsVectorSingle((value | ((half & Vector.Create(0x8000)) << 16)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PowersOfTwo(Vector<float> biased, out Vector<float> first, out Vector<float> second)
    {
        Vector<int> n = Vector.AsVectorInt32(biased) - Vector.Create(SimdConstants.RoundingBits);
        Vector<int> half = n >> 1;
        first = Vector.AsVectorSingle((half + Vector.Create(127)) << 23);
        second = Vector.AsVectorSingle((n - half + Vector.Create(127)) << 23);
    }
}

/// <summary>Shared by the three widths.</summary>
internal static class SimdConstants
{
    /// <summary>1.5 2^23: adding it rounds a float of small magnitude to a whole number, which then stands in the low bits.</summary>
    internal const float Rounding = 12582912f;

    /// <summary>The bits of <see cref="Rounding"/>.</summary>
    internal const int RoundingBits = 0x4B400000;
}
