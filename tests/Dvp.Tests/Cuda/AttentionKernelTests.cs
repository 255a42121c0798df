using System.Runtime.InteropServices;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Tests.Ops;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>
/// Attention kernels under the kernel host's checks of every access and in random order of threads and blocks: each way that a launcher can
/// choose, whole heads and tiles, all rows of a sequence in one block and several groups of rows, tokens split over blocks and not.
/// </summary>
[Requires(Capability.KernelHost)]
public sealed class AttentionKernelTests
{
    public static TheoryData<string, ElementType> Ways
    {
        get
        {
            TheoryData<string, ElementType> ways = [];
            foreach (string name in s_ways.Keys)
            {
                ways.Add(name, ElementType.F32);
                ways.Add(name, ElementType.BF16);
                if (!name.StartsWith("prompt", StringComparison.Ordinal) || name.Contains("16 bits", StringComparison.Ordinal))
                {
                    ways.Add(name, ElementType.F16); // tensor cores
                }
            }

            return ways;
        }
    }

    private static readonly Dictionary<string, Action<OpBench>> s_ways = new(StringComparer.Ordinal)
    {
        ["short"] = b => OpScenarios.Attention(b, new(2, 17, 33, 2, 2, 20) { Lengths = true, Mask = true, Bias = true, Dropout = 0.2f }),
        ["short, packed"] = b => OpScenarios.Attention(b, new(2, 18, 18, 2, 2, 64) { Lengths = true, Packed = true }),
        ["short, one tile"] = b => OpScenarios.Attention(b, new(2, 17, 17, 3, 3, 64) { Lengths = true, Mask = true, Bias = true, Dropout = 0.1f }),
        ["short, one tile, causal"] = b => OpScenarios.Attention(b, new(1, 32, 32, 2, 2, 72) { Causal = true, Dropout = 0.3f }),
        ["short, longest"] = b => OpScenarios.Attention(b, new(1, 64, 64, 2, 2, 128) { Lengths = true, Packed = true }),
        ["short, one query"] = b => OpScenarios.Attention(b, new(3, 1, 17, 2, 2, 64) { Lengths = true }),
        ["short forward, shared heads"] = b => OpScenarios.Attention(b, new(2, 6, 9, 4, 2, 12) { Causal = true, Mask = true }),
        ["short forward, wide heads"] = b => OpScenarios.Attention(b, new(1, 5, 40, 1, 1, 130) { Lengths = true }),
        ["tiles"] = b => OpScenarios.Attention(b, new(2, 35, 70, 2, 1, 24) { Causal = true, Lengths = true, Bias = true, Dropout = 0.3f }),
        ["tiles, odd heads"] = b => OpScenarios.Attention(b, new(1, 70, 70, 3, 3, 33) { Mask = true, Packed = true }),
        ["tiles, heads of 128"] = b => OpScenarios.Attention(b, new(2, 66, 131, 2, 2, 128) { Lengths = true, Bias = true }),
        ["tiles, wide heads"] = b => OpScenarios.Attention(b, new(1, 9, 67, 1, 1, 200) { Causal = true }),
        ["tiles, widest heads"] = b => OpScenarios.Attention(b, new(1, 34, 66, 1, 1, 256)),
        ["prompt, one block a sequence"] = b => OpScenarios.PromptAttention(b, 128, 1, 5, 7, 12, 3, 0.2f, null, true),
        ["prompt, tokens split"] = b => OpScenarios.PromptAttention(b, 2, 1, 150, 33, 24, 12, 0.1f, null, true),
        ["prompt, groups of rows"] = b => OpScenarios.PromptAttention(b, 2, 8, 19, 30, 24, 12, 0.1f, null, true),
        ["prompt, more channels than threads hold"] = b => OpScenarios.PromptAttention(b, 1, 1, 6, 1100, 8, 4, 0, ElementType.F16, true, spread: 0.3),
        ["prompt, 16 bits, one block a sequence"] = b => OpScenarios.PromptAttention(b, 128, 1, 5, 24, 12, 3, 0.2f, null, true),
        ["prompt, 16 bits, tokens split"] = b => OpScenarios.PromptAttention(b, 2, 1, 150, 136, 24, 12, 0.1f, null, true),
        ["prompt, 16 bits, groups of rows"] = b => OpScenarios.PromptAttention(b, 2, 8, 19, 32, 24, 12, 0.1f, null, true),
        ["prompt, 16 bits, all channels"] = b => OpScenarios.PromptAttention(b, 1, 1, 35, 768, 16, 2, 0, null, true, spread: 0.3),
        ["prompt, 16 bits, most channels"] = b => OpScenarios.PromptAttention(b, 1, 1, 20, 1000, 16, 4, 0.1f, null, false, spread: 0.3),
        ["prompt, short tiles"] = b => OpScenarios.PromptAttention(b, 1, 1, 9, 1500, 8, 8, 0, null, false, spread: 0.3),
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public void Every_way_agrees_with_the_reference(string name, ElementType real)
    {
        using ReferenceBackend reference = new();
        TensorArchive expected = Run(reference, real, s_ways[name]);
        using CudaBackend device = CudaUnderTest.Open(real, CudaUnderTest.Checked);
        TensorArchive actual = Run(device, real, s_ways[name]);
        Assert.Equal(expected.Names, actual.Names);
        foreach (string result in expected.Names)
        {
            CompareRule rule = Tolerances.Reference(expected.Doubles(result), real, factor: 2);
            TensorDifference difference = TensorDiff.CompareOne(result, actual, expected, rule);
            Assert.False(difference.IsFailure, $"{name} in {real}: {difference}");
        }
    }

    /// <summary>The purpose of the absorbed form: the features, which are most of the bytes, are read once forward and once backward.</summary>
    [Theory]
    [InlineData(ElementType.F32, ElementType.F32)]
    [InlineData(ElementType.F32, ElementType.F16)]
    [InlineData(ElementType.BF16, ElementType.BF16)] // tensor cores
    [InlineData(ElementType.BF16, ElementType.F16)]
    public unsafe void Prompt_attention_reads_every_byte_of_the_features_once(ElementType real, ElementType visual)
    {
        const int Batch = 8;
        string folder = KernelHost.FolderFor("check", nameof(Prompt_attention_reads_every_byte_of_the_features_once));
        using CudaBackend device = CudaBackend.Open(0, real, CudaUnderTest.Options(folder, "check"));
        using OpBench b = new(device);
        (int tokens, int channels, int heads, int width) = (49, 40, 12, 24);
        Tensor x = b.Input("x", [Batch, tokens, channels], type: visual);
        (Tensor q, Tensor dcontext) = (b.Input("q", [Batch, 1, width]), b.Input("dcontext", [Batch, 1, width]));
        (Tensor context, Tensor dq) = (b.Output(q.Shape), b.Output(q.Shape));
        (ParameterBlock key, ParameterBlock value, ParameterBlock bias) =
            (b.Parameter("key", [width, channels]), b.Parameter("value", [width, channels]), b.Parameter("bias", [width]));
        PromptAttentionState saved = new(
            b.Statistic(Batch, 1, heads * channels), b.Statistic(Batch, heads, 1, tokens),
            b.Statistic(Batch, 1, heads * channels), b.Statistic(Batch, 1, heads));

        nint library = NativeLibrary.Load(Path.Combine(folder, "libcuda.so.1"));
        var traffic = (delegate* unmanaged<ulong, nuint, ulong*, ulong*, int>)NativeLibrary.GetExport(library, "hostTraffic");
        long bytes = x.Count * visual.Size();
        long Read()
        {
            device.Synchronize();
            ulong read, written;
            Assert.Equal(0, traffic((ulong)x.Address, (nuint)bytes, &read, &written));
            return (long)read;
        }

        Assert.Equal(0, Read());
        device.PromptAttentionForward(saved, context, q, x, key, value, bias, heads, null);
        Assert.Equal(bytes, Read());
        device.PromptAttentionBackward(dq, null, dcontext, saved, q, x, key, value, bias, heads, null);
        Assert.Equal(2 * bytes, Read());
    }

    private static TensorArchive Run(Backend backend, ElementType real, Action<OpBench> body)
    {
        using OpBench bench = new(backend) { Precision = real };
        body(bench);
        bench.Check();
        return bench.Results;
    }
}
