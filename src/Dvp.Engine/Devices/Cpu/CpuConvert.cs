using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>Rows of 16-bit floats as f32 and back; rounding to nearest even.</summary>
internal static unsafe class CpuConvert
{
    /// <summary>The bfloat16 nearest to a float.</summary>
    internal static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value))
        {
            return (ushort)((bits >> 16) | 0x40);
        }

        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Widens a row of f32, bf16 or f16.</summary>
    internal static void ToFloat(float* y, void* x, ElementType type, int count)
    {
        switch (type)
        {
            case ElementType.F32:
                new ReadOnlySpan<float>(x, count).CopyTo(new Span<float>(y, count));
                break;
            case ElementType.BF16:
                FromBFloat16(y, (ushort*)x, count);
                break;
            case ElementType.F16:
                FromHalf(y, (ushort*)x, count);
                break;
            default:
                throw new ArgumentException($"Elements of type {type} cannot be read as floats.", nameof(type));
        }
    }

    /// <summary>Stores a row as f32, bf16 or f16.</summary>
    internal static void FromFloat(void* y, float* x, ElementType type, int count)
    {
        switch (type)
        {
            case ElementType.F32:
                new ReadOnlySpan<float>(x, count).CopyTo(new Span<float>(y, count));
                break;
            case ElementType.BF16:
                for (int i = 0; i < count; i++)
                {
                    ((ushort*)y)[i] = ToBFloat16(x[i]);
                }

                break;
            case ElementType.F16:
                for (int i = 0; i < count; i++)
                {
                    ((Half*)y)[i] = (Half)x[i];
                }

                break;
            default:
                throw new ArgumentException($"Floats cannot be stored as {type}.", nameof(type));
        }
    }

    private static void FromBFloat16(float* y, ushort* x, int count)
    {
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load(x + i));
            (Vector256.Create(low, high) << 16).AsSingle().Store(y + i);
        }

        for (; i < count; i++)
        {
            y[i] = BitConverter.UInt32BitsToSingle((uint)x[i] << 16);
        }
    }

    private static void FromHalf(float* y, ushort* x, int count)
    {
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load(x + i));
            HalfBits(Vector256.Create(low, high)).Store(y + i);
        }

        for (; i < count; i++)
        {
            y[i] = (float)BitConverter.UInt16BitsToHalf(x[i]);
        }
    }

    /// <summary>
    /// Eight binary16 patterns as floats: the exponent is rebased by a multiplication, which also normalises subnormals; infinities
    /// and NaNs get the full exponent.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> HalfBits(Vector256<uint> half)
    {
        Vector256<uint> magnitude = half & Vector256.Create(0x7FFFu);
        Vector256<uint> sign = (half & Vector256.Create(0x8000u)) << 16;
        Vector256<float> scaled = (magnitude << 13).AsSingle() * Vector256.Create(BitConverter.UInt32BitsToSingle((254u - 15) << 23));
        Vector256<uint> special = Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create(0x7BFF)).AsUInt32();
        return (scaled.AsUInt32() | (special & Vector256.Create(0x7F800000u)) | sign).AsSingle();
    }
}
