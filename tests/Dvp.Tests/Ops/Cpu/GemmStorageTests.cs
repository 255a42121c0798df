using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;
using Xunit;
using static Dvp.Tests.Ops.Cpu.GemmOracle;

namespace Dvp.Tests.Ops.Cpu;

/// <summary>Packed weights in 16 bits.</summary>
public sealed unsafe class GemmStorageTests
{
    [Theory]
    [MemberData(nameof(GemmTests.Kinds), MemberType = typeof(GemmTests))]
    public void Sixteen_bit_weights_give_the_bits_of_their_values_in_f32(string kind)
    {
        var random = new Random(7);
        using var pool = new CpuThreadPool(2);
        foreach (ElementType storage in new[] { ElementType.BF16, ElementType.F16 })
        {
            foreach (PackedUse use in Enum.GetValues<PackedUse>())
            {
                foreach (int m in new[] { 1, 2, 4, 6, 7, 17 })
                {
                    (int n, int k) = (45, 290);
                    using GuardedFloats w = new GuardedFloats(n, k, k + 1).Randomise(random);
                    using GuardedFloats rounded = new(n, k);
                    for (int i = 0; i < n; i++)
                    {
                        for (int j = 0; j < k; j++)
                        {
                            // Some values are subnormal in f16.
                            w[i, j] *= (i + j) % 7 == 0 ? 1e-6f : 1f;
                            rounded[i, j] = storage == ElementType.F16 ? (float)(Half)w[i, j] : RoundToBFloat16(w[i, j]);
                        }
                    }

                    using var narrow = new PackedMatrix(use, n, k, storage, Enum.Parse<CpuKernelKind>(kind));
                    using var wide = new PackedMatrix(use, n, k, ElementType.F32, Enum.Parse<CpuKernelKind>(kind));
                    narrow.Repack(pool, w.Data, w.Stride);
                    wide.Repack(pool, rounded.Data, rounded.Stride);
                    using GuardedFloats x = new GuardedFloats(m, wide.Inner).Randomise(random);
                    using GuardedFloats y = new(m, wide.Columns);
                    using GuardedFloats expected = new(m, wide.Columns);
                    Gemm.Multiply(pool, m, x.Data, x.Stride, narrow, y.Data, y.Stride, default);
                    Gemm.Multiply(pool, m, x.Data, x.Stride, wide, expected.Data, expected.Stride, default);
                    Assert.Equal(expected.ToArray(), y.ToArray());
                    Assert.Equal(wide.Bytes, 2 * narrow.Bytes);
                    y.CheckGuards($"{kind} {storage} {use} {m}");
                }
            }
        }
    }

    private static float RoundToBFloat16(float value)
    {
        // The nearest of the two neighbours with 8 significant bits; between them, the even one.
        uint bits = BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000;
        float low = BitConverter.UInt32BitsToSingle(bits);
        float high = BitConverter.UInt32BitsToSingle(bits + 0x10000);
        double toLow = Math.Abs((double)value - low);
        double toHigh = Math.Abs((double)high - value);
        return toLow < toHigh || (toLow == toHigh && (bits & 0x10000) == 0) ? low : high;
    }

    [Fact]
    public void Every_f16_value_widens_exactly_and_16_bit_sources_are_copied_as_they_are()
    {
        using var pool = new CpuThreadPool(1);
        ushort[] bits = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        foreach (CpuKernelKind kind in Enum.GetValues<CpuKernelKind>())
        {
            using var packed = new PackedMatrix(PackedUse.Forward, 65536, 1, ElementType.F16, kind);
            fixed (ushort* source = bits)
            {
                packed.Pack(pool, source, ElementType.F16, 1);
            }

            Assert.True(new ReadOnlySpan<ushort>(packed.Data, 65536).SequenceEqual(bits));
            float one = 1;
            float[] y = new float[65536];
            fixed (float* to = y)
            {
                // Sums start from +0, so that -0 comes out as +0.
                Gemm.Multiply(pool, 1, &one, 1, packed, to, 65536, default);
            }

            for (int i = 0; i < y.Length; i++)
            {
                float expected = (float)BitConverter.UInt16BitsToHalf((ushort)i);
                bool same = expected == y[i] || (float.IsNaN(expected) && float.IsNaN(y[i]));
                Assert.True(same, $"{kind}: {i:X4} became {y[i]:R}, not {expected:R}");
            }
        }
    }

    [Fact]
    public void Every_number_of_rows_meets_every_storage_type()
    {
        using var pool = new CpuThreadPool(1);
        using GuardedFloats w = new GuardedFloats(20, 30).Randomise(new Random(10));
        using GuardedFloats x = new GuardedFloats(7, 30).Randomise(new Random(11));
        using GuardedFloats y = new(7, 20);
        foreach (ElementType storage in new[] { ElementType.F32, ElementType.BF16, ElementType.F16 })
        {
            // Relative rounding of the stored values: none, 8 bits, 11 bits.
            double rounding = storage switch { ElementType.F32 => 0, ElementType.BF16 => 1.0 / 256, _ => 1.0 / 2048 };
            using var packed = new PackedMatrix(PackedUse.Forward, 20, 30, storage);
            packed.Repack(pool, w.Data, w.Stride);
            for (int m = 1; m <= 7; m++)
            {
                Gemm.Multiply(pool, m, x.Data, x.Stride, packed, y.Data, y.Stride, default);
                for (int i = 0; i < m; i++)
                {
                    for (int j = 0; j < 20; j++)
                    {
                        (double expected, double bound) = Exact(30, t => x[i, t], t => w[j, t], 0);
                        Check(y[i, j], expected, bound + (30 * rounding), $"{storage} {m} rows [{i}, {j}]");
                    }
                }
            }
        }
    }
}
