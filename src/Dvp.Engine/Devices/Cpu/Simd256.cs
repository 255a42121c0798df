using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

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
    public static Vector256<float> LoadWidened(ushort* source) =>
        Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadSignExtended(short* source) =>
        Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> a, Vector256<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> a, Vector256<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> a, Vector256<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Divide(Vector256<float> a, Vector256<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Vector256.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Min(Vector256<float> a, Vector256<float> b) => Vector256.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Max(Vector256<float> a, Vector256<float> b) => Vector256.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LessThan(Vector256<float> a, Vector256<float> b) => Vector256.LessThan(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Select(Vector256<float> mask, Vector256<float> a, Vector256<float> b) =>
        Vector256.ConditionalSelect(mask, a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> And(Vector256<float> a, Vector256<float> b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> AndNot(Vector256<float> a, Vector256<float> b) => Vector256.AndNot(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Xor(Vector256<float> a, Vector256<float> b) => a ^ b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Or(Vector256<float> a, Vector256<float> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ShiftLeft(Vector256<float> a, [ConstantExpected] int bits) =>
        Vector256.ShiftLeft(a.AsInt32(), bits).AsSingle();

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
    public static Vector256<float> FiniteHalfToSingle(Vector256<float> bits)
    {
        // Sign, exponent and fraction in their places, and the exponent's bias mended by a multiplication, which normalises subnormals too.
        Vector256<int> placed = (bits.AsInt32() << 13) & Vector256.Create(unchecked((int)0x8FFFE000));
        return placed.AsSingle() * Vector256.Create(SimdConstants.HalfBias);
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
