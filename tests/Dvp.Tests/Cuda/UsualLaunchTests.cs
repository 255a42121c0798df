using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Profiling;
using Dvp.Tests.Ops;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>
/// Occupancy in kernels/RESOURCES.md is that of the usual launch: what launchers ask for at the sizes of DVP-BERT-base is what
/// <see cref="CudaBackend.UsualLaunch"/> says. Kernels that it does not know are always launched with the block that they declare.
/// </summary>
[Requires(Capability.KernelHost)]
public sealed class UsualLaunchTests
{
    // Channels, heads and tokens as the model has them; fewer pictures, answers and words, on which no launch depends.
    private static readonly OpSizes s_sizes = new() { Answers = 40, Vocabulary = 100, EncoderBatch = 1, FeedForward = 768 };

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.BF16)] // F16 has the same launchers
    public void What_launchers_ask_for_is_what_the_table_says(ElementType type)
    {
        using CudaBackend device = CudaUnderTest.Open(type);
        using (OpBench bench = new(device) { Precision = type })
        {
            foreach (int size in (int[])[64, 128, 256])
            {
                OpScenarios.Attention(bench, new(1, 65, 65, 1, 1, size) { Bias = true });
            }

            foreach (bool layer in (bool[])[true, false])
            {
                OpScenarios.Norm(bench, layer, 1100, 8, withResidual: true, gap: 0); // sums over rows in two stages
                OpScenarios.Norm(bench, layer, 2, 4096, withResidual: true, gap: 0);
            }

            OpScenarios.Embed(bench, 2, 7, 768, 13, positions: true, types: true, typeIds: true, padding: -1);
            device.TopK(bench.Statistic(3, 2), bench.Output(6, ElementType.I32).Reshape(3, 2), bench.Input("logits", [3, 9]));
        }

        // The usual sizes last: a kernel remembers its latest launch. Products and adapters declare their blocks and can be left out, and the
        // block of prompt attention does not depend on the batch.
        IEnumerable<OpCase> cases = OpCases.All(s_sizes, [16], type.Size()).Where(c => !StartsWith(c, "linear", "adapter", "prompt"))
            .Concat(OpCases.All(s_sizes, [1], type.Size()).Where(c => StartsWith(c, "prompt")));
        foreach (OpCase one in cases)
        {
            using OpOperands operands = new(device);
            one.Prepare(operands)();
        }

        using (OpBench bench = new(device))
        {
            device.Fill(bench.Statistic(16 * 17 * 768), 0); // an optimiser's case has filled one number
        }

        (KernelVariant Variant, CudaKernel Kernel)[] used = [.. device.UsedKernels.Where(k => k.Kernel.LatestLaunch.Threads > 0)];
        Assert.All(used, k => Assert.Equal(
            (k.Kernel.Signature.Name, k.Variant, Usual(k.Variant, k.Kernel)), (k.Kernel.Signature.Name, k.Variant, k.Kernel.LatestLaunch)));

        string[] listed =
        [
            .. from v in KernelCatalog.All
               where v.Real == type
               from e in KernelSignature.Read(v.File, KernelSources.Text($"{v.File}.cu"), KernelCompiler.Types(v)).Keys
               where CudaBackend.UsualLaunch(e, v) is not null
               select e,
        ];
        string[] missing = [.. listed.Distinct().Except(used.Select(k => k.Kernel.Signature.Name))];
        Assert.True(missing.Length == 0, $"not launched here: {string.Join(", ", missing)}");
    }

    private static bool StartsWith(OpCase c, params ReadOnlySpan<string> words)
    {
        foreach (string word in words)
        {
            if (c.Op.StartsWith(word, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    private static KernelLaunchShape Usual(KernelVariant variant, CudaKernel kernel) =>
        CudaBackend.UsualLaunch(kernel.Signature.Name, variant) ?? new KernelLaunchShape(kernel.Function.MaxThreads);
}
