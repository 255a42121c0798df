using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>
/// Conversions between stored elements and those in memory. Widening is exact; narrowing rounds to nearest, ties to even. Files are
/// little-endian, and so are the machines that this runs on; spans need not be aligned.
/// </summary>
internal static class ElementConversion
{
    /// <summary>Elements of a part when a large tensor is converted in parts.</summary>
    public const int ChunkElements = 1 << 20;

    /// <summary>Floating-point elements to float32.</summary>
    public static void ToFloats(ElementType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        switch (type)
        {
            case ElementType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case ElementType.BF16:
                WidenBFloat16(MemoryMarshal.Cast<byte, ushort>(source), destination);
                break;
            case ElementType.F16:
                WidenFloat16(MemoryMarshal.Cast<byte, ushort>(source), destination);
                break;
            case ElementType.F64:
                ReadOnlySpan<double> doubles = MemoryMarshal.Cast<byte, double>(source);
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = (float)doubles[i];
                }

                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "Not a floating-point type.");
        }
    }

    /// <summary>Elements of any type to float64.</summary>
    public static void ToDoubles(ElementType type, ReadOnlySpan<byte> source, Span<double> destination)
    {
        switch (type)
        {
            case ElementType.F64:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case ElementType.F32:
                ReadOnlySpan<float> floats = MemoryMarshal.Cast<byte, float>(source);
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = floats[i];
                }

                break;
            case ElementType.BF16:
                ReadOnlySpan<ushort> upper = MemoryMarshal.Cast<byte, ushort>(source);
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = BitConverter.UInt32BitsToSingle((uint)upper[i] << 16);
                }

                break;
            case ElementType.F16:
                ReadOnlySpan<Half> halves = MemoryMarshal.Cast<byte, Half>(source);
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = (double)halves[i];
                }

                break;
            default:
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = IntegerAt(type, source, i);
                }

                break;
        }
    }

    /// <summary>Integer or boolean elements to 64-bit integers.</summary>
    public static void ToInt64(ElementType type, ReadOnlySpan<byte> source, Span<long> destination)
    {
        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = IntegerAt(type, source, i);
        }
    }

    /// <summary>float32 to any floating-point type.</summary>
    public static void FromFloats(ReadOnlySpan<float> source, ElementType type, Span<byte> destination)
    {
        switch (type)
        {
            case ElementType.F32:
                MemoryMarshal.AsBytes(source).CopyTo(destination);
                break;
            case ElementType.BF16:
                NarrowToBFloat16(source, MemoryMarshal.Cast<byte, ushort>(destination));
                break;
            case ElementType.F16:
                Span<Half> halves = MemoryMarshal.Cast<byte, Half>(destination);
                for (int i = 0; i < source.Length; i++)
                {
                    halves[i] = (Half)source[i];
                }

                break;
            case ElementType.F64:
                Span<double> doubles = MemoryMarshal.Cast<byte, double>(destination);
                for (int i = 0; i < source.Length; i++)
                {
                    doubles[i] = source[i];
                }

                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "Not a floating-point type.");
        }
    }

    /// <summary>64-bit integers to a narrower integer type or booleans.</summary>
    /// <exception cref="OverflowException">A value does not fit.</exception>
    public static void FromInt64(ReadOnlySpan<long> source, ElementType type, Span<byte> destination)
    {
        int size = type.Size();
        for (int i = 0; i < source.Length; i++)
        {
            Span<byte> at = destination.Slice(i * size, size);
            checked
            {
                switch (type)
                {
                    case ElementType.I64:
                        MemoryMarshal.Write(at, source[i]);
                        break;
                    case ElementType.I32:
                        MemoryMarshal.Write(at, (int)source[i]);
                        break;
                    case ElementType.I16:
                        MemoryMarshal.Write(at, (short)source[i]);
                        break;
                    case ElementType.I8:
                        MemoryMarshal.Write(at, (sbyte)source[i]);
                        break;
                    case ElementType.U8:
                        at[0] = (byte)source[i];
                        break;
                    case ElementType.Bool:
                        at[0] = source[i] is 0 or 1 ? (byte)source[i] : throw new OverflowException("A boolean must be 0 or 1.");
                        break;
                    default:
                        throw new ArgumentOutOfRangeException(nameof(type), type, "Not an integer type.");
                }
            }
        }
    }

    /// <summary>bf16 is the upper half of float32.</summary>
    public static void WidenBFloat16(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        int i = 0;
        ref ushort from = ref MemoryMarshal.GetReference(source);
        ref uint to = ref Unsafe.As<float, uint>(ref MemoryMarshal.GetReference(destination));
        for (; i <= destination.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(Vector.LoadUnsafe(ref from, (nuint)i), out Vector<uint> low, out Vector<uint> high);
            (low << 16).StoreUnsafe(ref to, (nuint)i);
            (high << 16).StoreUnsafe(ref to, (nuint)(i + Vector<uint>.Count));
        }

        for (; i < destination.Length; i++)
        {
            destination[i] = BitConverter.UInt32BitsToSingle((uint)source[i] << 16);
        }
    }

    /// <summary>f16 to float32: exponent and mantissa shifted into place, scaled by 2^112: exact for normal and subnormal values.</summary>
    public static void WidenFloat16(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        int i = 0;
        ref ushort from = ref MemoryMarshal.GetReference(source);
        ref uint to = ref Unsafe.As<float, uint>(ref MemoryMarshal.GetReference(destination));
        for (; i <= destination.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(Vector.LoadUnsafe(ref from, (nuint)i), out Vector<uint> low, out Vector<uint> high);
            WidenFloat16(low).StoreUnsafe(ref to, (nuint)i);
            WidenFloat16(high).StoreUnsafe(ref to, (nuint)(i + Vector<uint>.Count));
        }

        for (; i < destination.Length; i++)
        {
            destination[i] = (float)BitConverter.UInt16BitsToHalf(source[i]);
        }
    }

    private static Vector<uint> WidenFloat16(Vector<uint> half)
    {
        Vector<uint> magnitude = half & new Vector<uint>(0x7fff);
        Vector<uint> scaled = Vector.AsVectorUInt32(
            Vector.AsVectorSingle(magnitude << 13) * new Vector<float>(BitConverter.UInt32BitsToSingle(0x7780_0000)));
        Vector<uint> special = Vector.GreaterThan(magnitude, new Vector<uint>(0x7bff)) & new Vector<uint>(0x7f80_0000);
        return scaled | special | ((half & new Vector<uint>(0x8000)) << 16);
    }

    private static void NarrowToBFloat16(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        for (int i = 0; i < source.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(source[i]);
            destination[i] = float.IsNaN(source[i])
                ? (ushort)((bits >> 16) | 0x40)
                : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
        }
    }

    private static long IntegerAt(ElementType type, ReadOnlySpan<byte> bytes, int i) => type switch
    {
        ElementType.I64 => MemoryMarshal.Read<long>(bytes[(i * 8)..]),
        ElementType.I32 => MemoryMarshal.Read<int>(bytes[(i * 4)..]),
        ElementType.I16 => MemoryMarshal.Read<short>(bytes[(i * 2)..]),
        ElementType.I8 => (sbyte)bytes[i],
        ElementType.U8 or ElementType.Bool => bytes[i],
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an integer type."),
    };
}
