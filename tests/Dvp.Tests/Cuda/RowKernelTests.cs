using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Tests.Ops;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>What kernels over rows do beyond the contract that all devices share: the largest logits, ids and labels outside their tables.</summary>
[Requires(Capability.CudaDevice)]
public sealed class RowKernelTests
{
    public static TheoryData<ElementType> Types => [ElementType.F32, ElementType.BF16, ElementType.F16];

    [Theory]
    [MemberData(nameof(Types))]
    public void The_largest_logits_come_in_order_and_equal_ones_by_column(ElementType type)
    {
        using CudaBackend device = CudaUnderTest.Open(type);
        using OpBench b = new(device);
        foreach ((int rows, int columns, int count) in ((int, int, int)[])[(1, 1, 1), (3, 33, 1), (5, 257, 7), (2, 1000, 40)])
        {
            // Few different values, so that many are equal.
            double[] values = [.. OpBench.Integers("logits", rows * columns, -8, 8).Select(i => i / 4.0)];
            (Tensor best, Tensor indices) = (b.Output(rows * count, ElementType.F32), b.Output(rows * count, ElementType.I32));
            device.TopK(best.Reshape(rows, count), indices.Reshape(rows, count), b.Input(values, [rows, columns], gap: 3));
            for (int row = 0; row < rows; row++)
            {
                double[] logits = values[(row * columns)..((row + 1) * columns)];
                int[] expected = [.. Enumerable.Range(0, columns).OrderByDescending(c => logits[c]).ThenBy(c => c).Take(count)];
                Assert.Equal(expected.Select(c => (double)c), b.Values(indices)[(row * count)..((row + 1) * count)]);
                Assert.Equal(expected.Select(c => logits[c]), b.Values(best)[(row * count)..((row + 1) * count)]);
            }
        }

        b.Check();
    }

    [Fact]
    public void No_number_is_never_the_largest()
    {
        using CudaBackend device = CudaUnderTest.Open(ElementType.F32);
        using OpBench b = new(device);
        Tensor logits = b.Input([double.NaN, 1, double.NegativeInfinity, double.NaN], [1, 4]);
        (Tensor best, Tensor indices) = (b.Output(4, ElementType.F32), b.Output(4, ElementType.I32));
        device.TopK(best.Reshape(1, 4), indices.Reshape(1, 4), logits);
        Assert.Equal([1.0, 2, -1, -1], b.Values(indices));
        Assert.Equal([1, double.NegativeInfinity, double.NegativeInfinity, double.NegativeInfinity], b.Values(best));
        b.Check();
    }

    /// <summary>The device cannot stop the program: the row is no number, nothing beyond the table is read or written.</summary>
    [Theory]
    [InlineData(9)]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    public void Ids_and_labels_outside_their_tables_show_in_the_loss_and_touch_nothing(int outside)
    {
        using CudaBackend device = CudaUnderTest.Open(ElementType.F32);
        using OpBench b = new(device);
        Tensor ids = b.Input([0, outside, 3], 1, 3);
        ParameterBlock words = b.Parameter("words", [9, 4]);
        Tensor y = b.Output([1, 3, 4]);
        device.EmbeddingForward(y, ids, words, null, null, null);
        Assert.Equal([false, false, false, false, true, true, true, true, false, false, false, false], b.Values(y).Select(double.IsNaN));

        double[] before = b.Values(words.Gradient!);
        Tensor dy = b.Input("dy", [1, 3, 4]);
        device.EmbeddingBackward(words.Gradient, null, null, dy, ids, null, -1);
        double[] added = [.. b.Values(words.Gradient!).Zip(before, (now, then) => now - then)];
        Assert.Equal([0, 3], Enumerable.Range(0, 9).Where(row => added[(row * 4)..((row * 4) + 4)].Any(v => v != 0)));

        (Tensor loss, Tensor dlogits) = (b.Statistic(1), b.Output([3, 9]));
        device.SoftmaxCrossEntropy(loss, dlogits, b.Input("logits", [3, 9]), ids.Reshape(3), -100, 0, 1);
        Assert.True(double.IsNaN(b.Values(loss)[0]));
        Assert.All(b.Values(dlogits)[9..18], v => Assert.Equal(0, v));
        b.Check();
    }

    /// <summary>Soft targets stay in f32 on a device of another type.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public void Targets_may_be_wider_than_the_logits(ElementType type)
    {
        using CudaBackend device = CudaUnderTest.Open(type);
        using OpBench b = new(device);
        (double[] z, double[] y) = ([0.5, -2, 0, 3], [0.3, 0.6, 0.9, 1]);
        Tensor loss = b.Statistic(1);
        device.BceWithLogits(loss, null, b.Input(z, [2, 2]), b.Input(y, [2, 2], type: ElementType.F32), 1);
        double expected = z.Zip(y, (logit, target) => Math.Log(1 + Math.Exp(logit)) - (logit * target)).Sum() / 2;
        Assert.Equal(expected, b.Values(loss)[0], 1e-5);
        b.Check();
    }

    /// <summary>Visual tokens of either 16-bit type on a device of the other.</summary>
    [Fact]
    public void Copies_convert_between_any_two_types()
    {
        ElementType[] types = [ElementType.F32, ElementType.BF16, ElementType.F16];
        using CudaBackend device = CudaUnderTest.Open(ElementType.BF16);
        using OpBench b = new(device);
        double[] values = [.. Enumerable.Range(0, 37).Select(i => (i - 18) / 8.0)]; // exact in all of them
        foreach (ElementType from in types)
        {
            foreach (ElementType to in types)
            {
                Tensor y = b.Output(37, to);
                device.Copy(y, b.Input(values, [37], type: from));
                Assert.Equal(values, b.Values(y));
            }
        }

        Tensor integers = b.Output(5, ElementType.I32);
        device.Copy(integers, b.Input([1, -2, int.MaxValue, int.MinValue, 0x7f800001], 5));
        Assert.Equal([1.0, -2, int.MaxValue, int.MinValue, 0x7f800001], b.Values(integers));
        device.Fill(integers, -7);
        Assert.All(b.Values(integers), v => Assert.Equal(-7, v));
        b.Check();
    }
}
