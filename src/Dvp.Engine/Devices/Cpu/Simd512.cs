using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

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
    public static Vector512<float> LoadWidened(ushort* source) =>
        Vector512.WidenLower(Vector256.Load(source).ToVector512Unsafe()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadSignExtended(short* source) =>
        Vector512.WidenLower(Vector256.Load(source).ToVector512Unsafe()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> a, Vector512<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Divide(Vector512<float> a, Vector512<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Min(Vector512<float> a, Vector512<float> b) => Vector512.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Max(Vector512<float> a, Vector512<float> b) => Vector512.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LessThan(Vector512<float> a, Vector512<float> b) => Vector512.LessThan(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Select(Vector512<float> mask, Vector512<float> a, Vector512<float> b) =>
        Vector512.ConditionalSelect(mask, a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> And(Vector512<float> a, Vector512<float> b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> AndNot(Vector512<float> a, Vector512<float> b) => Vector512.AndNot(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Xor(Vector512<float> a, Vector512<float> b) => a ^ b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Or(Vector512<float> a, Vector512<float> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ShiftLeft(Vector512<float> a, [ConstantExpected] int bits) =>
        Vector512.ShiftLeft(a.AsInt32(), bits).AsSingle();

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
    public static Vector512<float> FiniteHalfToSingle(Vector512<float> bits)
    {
        // Sign, exponent and fraction in their places, and the exponent's bias mended by a multiplication, which normalises subnormals too.
        Vector512<int> placed = (bits.AsInt32() << 13) & Vector512.Create(unchecked((int)0x8FFFE000));
        return placed.AsSingle() * Vector512.Create(SimdConstants.HalfBias);
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
