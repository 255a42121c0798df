using Dvp.Engine.Devices.Cuda;
using Dvp.Profiling;
using Dvp.Settings;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>
/// What the compiler makes of the loops that the time goes into, from the disassembly: tensor-core multiply-adds, copies of 16 bytes past the first-level
/// cache, and little besides. The figures are those of docs/decisions.md.
/// </summary>
[Requires(Capability.Nvrtc | Capability.Nvdisasm)]
public sealed class MachineCodeTests
{
    [Theory]
    [InlineData("matmul_mma_forward")]
    [InlineData("matmul_mma_backward_input")]
    [InlineData("matmul_mma_backward_weight")]
    public void A_piece_of_a_product_is_32_multiply_adds_12_loads_and_4_copies(string entry) => Assert.All(["sm_80", "sm_90a"], architecture =>
    {
        MachineCodeListing code = Disassemble(entry, architecture, "tile_m=128 tile_n=128");
        (int all, IReadOnlyDictionary<string, int> piece) = MainLoop(code);
        Assert.Equal((32, 12, 4, 1), (piece["HMMA"], piece["LDSM"], piece["LDGSTS.BYPASS.128"], piece["BAR"]));
        Assert.InRange(all, 100, 145);
        AssertNoLocalMemory(code);
    });

    /// <summary>Masks, bias and dropout are loops of their own, beside the path that a tile without them takes.</summary>
    [Fact]
    public void A_tile_of_attention_is_64_multiply_adds_and_its_exponentials() => Assert.All(["sm_80", "sm_90a"], architecture =>
    {
        MachineCodeListing code = Disassemble("attention_forward_mma", architecture, "head_size=64 tile=64");
        (int all, IReadOnlyDictionary<string, int> tile) = MainLoop(code);
        Assert.Equal((64, 32, 34, 8), (tile["HMMA"], tile["LDSM"], tile["MUFU"], tile["SHFL"]));
        Assert.DoesNotContain(tile.Keys, k => k.StartsWith("LDG.", StringComparison.Ordinal));
        Assert.InRange(all, 500, 780);
        AssertNoLocalMemory(code);
    });

    [Fact]
    public void A_tile_of_prompt_attention_comes_in_copies_of_16_bytes() => Assert.All(
        from entry in new[] { "prompt_attention_forward_mma", "prompt_attention_backward_mma" }
        from architecture in new[] { "sm_80", "sm_90a" }
        select (entry, architecture),
        one =>
        {
            MachineCodeListing code = Disassemble(one.entry, one.architecture, "tile_channels=768");
            Assert.Equal(48, MainLoop(code).Counts["HMMA"]); // six steps, two products of 16 x 16, rows and weights as high and low halves
            Assert.Contains(code.Loops, l => MachineCodeListing.Count(code.Of(l)).GetValueOrDefault("LDGSTS.BYPASS.128") == 3);
            AssertNoLocalMemory(code);
        });

    /// <summary>Four 16-bit elements a lane of x and of the residual, and one wide access of shared memory for the four sums.</summary>
    [Fact]
    public void A_row_of_layer_norm_is_read_and_written_in_vectors() => Assert.All(["sm_80", "sm_90a"], architecture =>
    {
        MachineCodeListing code = Disassemble("layernorm_forward_warp_per_row", architecture, "");
        IReadOnlyDictionary<string, int> reading = MachineCodeListing.Count(code.Of(code.Loops[0]));
        Assert.Equal((2, 1, 1), (reading["LDG.64"], reading["STG.64"], reading["STS.128"]));
        Assert.DoesNotContain(reading.Keys, k => k is "LDG.16" or "LDG.32" or "STG.16");
        Assert.InRange(code.Of(code.Loops[0]).Count, 20, 50); // four elements, rounded and taken apart by conversions of two at a time
        AssertNoLocalMemory(code);
    });

    private static MachineCodeListing Disassemble(string entry, string architecture, string definitions) => Disassembler.Find().Disassemble(
        KernelTools.MachineCode(DvpEnvironment.CudaOptions(), architecture, entry, "bf16", definitions).Code, entry);

    // The loop that has most tensor-core multiply-adds of its own.
    private static (int All, IReadOnlyDictionary<string, int> Counts) MainLoop(MachineCodeListing code)
    {
        IReadOnlyList<MachineInstruction> loop = code.Loops.Select(code.Of).MaxBy(l => l.Count(i => i.Name == "HMMA"))!;
        return (loop.Count, MachineCodeListing.Count(loop));
    }

    private static void AssertNoLocalMemory(MachineCodeListing code) => Assert.DoesNotContain(code.Instructions, i => i.Name is "LDL" or "STL");
}
