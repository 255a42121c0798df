using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Tests.Ops;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>
/// Prompt attention on the tensor cores keeps what its rows have beyond 16 bits: queries that went through the key projection, weights of the sum,
/// gradients of the scores.
/// </summary>
[Requires(Capability.KernelHost)]
public sealed class PromptAttentionPrecisionTests
{
    [Theory]
    [InlineData(ElementType.BF16, 1e-4)] // 2^-9 and worse with rows of 16 bits
    [InlineData(ElementType.F16, 1e-5)]
    public void Sixteen_bit_tokens_do_not_round_the_rows(ElementType real, double tolerance)
    {
        static TensorArchive Run(Backend device, ElementType real)
        {
            using OpBench bench = new(device) { Precision = real };
            OpScenarios.PromptAttention(bench, 2, 1, 50, 136, 24, 12, 0, null, true);
            return bench.Results;
        }

        using ReferenceBackend reference = new();
        using CudaBackend device = CudaUnderTest.Open(real);
        (TensorArchive expected, TensorArchive actual) = (Run(reference, real), Run(device, real));
        foreach (string name in (string[])["absorbed", "probabilities", "condensed", "sum of probabilities", "dkey", "dvalue"])
        {
            double[] right = expected.Doubles(name);
            double largest = right.Max(Math.Abs), difference = actual.Doubles(name).Zip(right, (a, b) => Math.Abs(a - b)).Max();
            Assert.True(difference <= tolerance * largest, $"{name}: {difference / largest:G3} of the largest value");
        }
    }

    /// <summary>Gradients may have any size, under a loss scale and without: a power of two passes through every product, to the bit.</summary>
    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F16)]
    public void Small_gradients_keep_their_bits(ElementType real)
    {
        const double Small = 1.0 / (1 << 20);
        (double[] key, double[] tiny) = (Gradient(real, 1), Gradient(real, Small));
        Assert.Equal(key, Array.ConvertAll(tiny, v => v / Small));
        Assert.All(key, v => Assert.NotEqual(0, v));
    }

    /// <summary>The gradient of the key weights, which is that of the absorbed query times a query of ones.</summary>
    private static double[] Gradient(ElementType real, double scale)
    {
        const int Heads = 2, Width = 4, Visual = 24, Tokens = 20;
        using CudaBackend device = CudaUnderTest.Open(real);
        using OpBench b = new(device);
        Tensor x = b.Input("x", [1, Tokens, Visual]);
        Tensor q = b.Input([1.0, 1, 1, 1], [1, 1, Width]);
        ParameterBlock bias = b.Parameter("bias", [Width], false);
        ParameterBlock key = b.Parameter(b.Random("key", Width * Visual), [Width, Visual]);
        Tensor dcontext = b.Input([scale, -scale, 2 * scale, scale], [1, 1, Width]); // exact in f16, below its normal numbers
        ParameterBlock value = b.Parameter("value", [Width, Visual], false);
        PromptAttentionState saved = new(
            b.Statistic(1, 1, Heads * Visual), b.Statistic(1, Heads, 1, Tokens), b.Statistic(1, 1, Heads * Visual), b.Statistic(1, 1, Heads));
        Tensor context = b.Output(q.Shape);
        b.Run(d => d.PromptAttentionForward(saved, context, q, x, key, value, bias, Heads, null));
        b.Run(d => d.PromptAttentionBackward(null, null, dcontext, saved, q, x, key, value, bias, Heads, null));
        return b.Values(key.Gradient!);
    }
}
