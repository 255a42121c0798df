using System.Numerics;
using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>Finds values that are no finite numbers: all exponent bits set.</summary>
internal static class FiniteCheck
{
    /// <summary>Position of the first NaN or infinity; -1 where there is none.</summary>
    public static int FirstNotFinite(ElementType type, ReadOnlySpan<byte> bytes) => type switch
    {
        ElementType.F64 => First(MemoryMarshal.Cast<byte, ulong>(bytes), 0x7ff0_0000_0000_0000UL),
        ElementType.F32 => First(MemoryMarshal.Cast<byte, uint>(bytes), 0x7f80_0000U),
        ElementType.BF16 => First(MemoryMarshal.Cast<byte, ushort>(bytes), (ushort)0x7f80),
        ElementType.F16 => First(MemoryMarshal.Cast<byte, ushort>(bytes), (ushort)0x7c00),
        _ => -1,
    };

    private static int First<T>(ReadOnlySpan<T> bits, T exponent)
        where T : struct, IBinaryInteger<T>
    {
        int i = 0;
        ref T from = ref MemoryMarshal.GetReference(bits);
        Vector<T> mask = new(exponent);
        for (; i <= bits.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            if (Vector.EqualsAny(Vector.LoadUnsafe(ref from, (nuint)i) & mask, mask))
            {
                break;
            }
        }

        for (; i < bits.Length; i++)
        {
            if ((bits[i] & exponent) == exponent)
            {
                return i;
            }
        }

        return -1;
    }
}
