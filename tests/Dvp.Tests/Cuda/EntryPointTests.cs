using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Tests.Ops;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>Every entry point of every kernel file is launched: nothing stands in kernels/ that no test runs.</summary>
[Requires(Capability.KernelHost)]
public sealed class EntryPointTests
{
    // Words in the names of scenarios that together need every entry point.
    private static readonly string[] s_some = ["33", "AdamW", "loss scale", "stream", "257", "197", "adapter 272"];

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F16)]
    public void Scenarios_launch_every_entry_point(ElementType type)
    {
        using CudaBackend device = CudaUnderTest.Open(type);
        foreach (OpScenario scenario in OpScenarios.All.Values.Where(s => s_some.Any(w => s.Name.Contains(w, StringComparison.Ordinal))))
        {
            using OpBench bench = new(device) { Precision = type };
            scenario.Body(bench);
        }

        using (OpBench bench = new(device))
        {
            // Heads too wide for the tensor cores; rows too long for a warp; rows of another type with gaps between them; what no operator of the contract does.
            OpScenarios.Attention(bench, new(1, 3, 65, 1, 1, 130));
            OpScenarios.Norm(bench, layer: true, 2, 8200, withResidual: true, gap: 1);
            OpScenarios.Norm(bench, layer: false, 2, 8200, withResidual: true, gap: 1);
            ElementType other = type == ElementType.F32 ? ElementType.BF16 : ElementType.F32;
            Tensor dy = bench.Input("dy", [5, 40], gap: 1, other);
            device.LinearBackwardInput(bench.Output([5, 33]), dy, bench.Parameter("weight", [40, 33]), accumulate: false);
            device.TopK(bench.Statistic(3, 2), bench.Output(6, ElementType.I32).Reshape(3, 2), bench.Input("logits", [3, 9]));
            Tensor sums = bench.Statistic(256);
            device.RooflineMultiply(sums, blocks: 1, rounds: 4);
            Assert.All(bench.Values(sums), s => Assert.Equal(type == ElementType.F32 ? 498 : 504, s));
            bench.Check();
        }

        SortedSet<string> declared = new(StringComparer.Ordinal);
        foreach (KernelVariant variant in KernelCatalog.All.Where(v => v.Real == type))
        {
            declared.UnionWith(KernelSignature.Read(
                variant.File, KernelSources.Text($"{variant.File}.cu"), KernelCompiler.Types(variant)).Keys);
        }

        string[] missing = [.. declared.Except(device.LaunchedEntries)];
        TestContext.Current.TestOutputHelper?.WriteLine($"{declared.Count} entry points: {string.Join(", ", declared)}");
        Assert.True(missing.Length == 0, $"{missing.Length} of {declared.Count} entry points were never launched: {string.Join(", ", missing)}");
    }
}
