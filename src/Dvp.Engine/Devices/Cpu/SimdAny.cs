using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Dvp.Engine.Devices.Cpu;

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
    public static Vector<float> LoadSignExtended(short* source)
    {
        int* wide = stackalloc int[Vector<int>.Count];
        for (int i = 0; i < Vector<int>.Count; i++)
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
    public static Vector<float> FiniteHalfToSingle(Vector<float> bits)
    {
        // Sign, exponent and fraction in their places, and the exponent's bias mended by a multiplication, which normalises subnormals too.
        Vector<int> placed = (Vector.AsVectorInt32(bits) << 13) & Vector.Create(unchecked((int)0x8FFFE000));
        return Vector.AsVectorSingle(placed) * Vector.Create(SimdConstants.HalfBias);
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
