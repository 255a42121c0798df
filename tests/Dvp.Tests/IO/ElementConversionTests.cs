using System.Runtime.InteropServices;
using CsCheck;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class ElementConversionTests
{
    private static readonly ushort[] s_patterns = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];

    /// <summary>All 65,536 values of f16, by the vector path and by the scalar tail, against the runtime's own conversion.</summary>
    [Fact]
    public void Every_f16_widens_exactly()
    {
        float[] vector = new float[65536];
        ElementConversion.WidenFloat16(s_patterns, vector);
        float[] one = new float[1];
        for (int i = 0; i < s_patterns.Length; i++)
        {
            float expected = (float)BitConverter.UInt16BitsToHalf(s_patterns[i]);
            ElementConversion.WidenFloat16(s_patterns.AsSpan(i, 1), one);
            bool same = SameOrNaN(expected, vector[i]) && SameOrNaN(expected, one[0]);
            Assert.True(same, $"{i:x4}: {vector[i]}, {one[0]}, expected {expected}");
        }
    }

    [Fact]
    public void Every_bf16_widens_to_its_upper_half_and_narrows_back()
    {
        float[] vector = new float[65536];
        ElementConversion.WidenBFloat16(s_patterns, vector);
        byte[] back = new byte[2 * 65536];
        ElementConversion.FromFloats(vector, ElementType.BF16, back);
        ReadOnlySpan<ushort> narrowed = MemoryMarshal.Cast<byte, ushort>(back);
        for (int i = 0; i < s_patterns.Length; i++)
        {
            Assert.Equal((uint)i << 16, BitConverter.SingleToUInt32Bits(vector[i]));
            Assert.Equal(float.IsNaN(vector[i]) ? i | 0x40 : i, narrowed[i]);
        }
    }

    /// <summary>Narrowing gives the nearest of all values of the type, the even one of two equally near.</summary>
    [Fact]
    public void Narrowing_to_bf16_rounds_to_nearest_even() => Gen.UInt.Sample(bits =>
    {
        float value = BitConverter.UInt32BitsToSingle(bits);
        byte[] stored = new byte[2];
        ElementConversion.FromFloats([value], ElementType.BF16, stored);
        ushort result = MemoryMarshal.Read<ushort>(stored);
        if (float.IsNaN(value))
        {
            return float.IsNaN(BitConverter.UInt32BitsToSingle((uint)result << 16));
        }

        uint low = bits & 0xffff;
        uint down = bits >> 16;
        uint expected = low > 0x8000 || (low == 0x8000 && (down & 1) == 1) ? down + 1 : down;
        return expected == result;
    });

    [Fact]
    public void Any_length_and_alignment_gives_the_same() => Gen.Select(Gen.UShort.Array[0, 100], Gen.Int[0, 3]).Sample((values, shift) =>
    {
        byte[] bytes = new byte[shift + (2 * values.Length)];
        MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(bytes.AsSpan(shift));
        float[] halves = new float[values.Length];
        double[] doubles = new double[values.Length];
        ElementConversion.ToFloats(ElementType.F16, bytes.AsSpan(shift), halves);
        ElementConversion.ToDoubles(ElementType.F16, bytes.AsSpan(shift), doubles);
        for (int i = 0; i < values.Length; i++)
        {
            if (!SameOrNaN(halves[i], (float)BitConverter.UInt16BitsToHalf(values[i])) || !SameOrNaN((float)doubles[i], halves[i]))
            {
                return false;
            }
        }

        return true;
    });

    [Fact]
    public void Integers_of_every_width_come_back() => Gen.SByte.Array[0, 20].Sample(values =>
    {
        long[] wide = [.. values.Select(v => (long)v)];
        foreach (ElementType type in (ElementType[])[ElementType.I64, ElementType.I32, ElementType.I16, ElementType.I8])
        {
            byte[] stored = new byte[wide.Length * type.Size()];
            ElementConversion.FromInt64(wide, type, stored);
            long[] back = new long[wide.Length];
            ElementConversion.ToInt64(type, stored, back);
            Assert.Equal(wide, back);
        }
    });

    private static bool SameOrNaN(float a, float b) =>
        (float.IsNaN(a) && float.IsNaN(b)) || BitConverter.SingleToInt32Bits(a) == BitConverter.SingleToInt32Bits(b);
}
