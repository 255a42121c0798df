using System.Text.Json;
using Dvp.Engine.Devices.Cuda;
using Dvp.Profiling;
using Dvp.Settings;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cli;

public sealed class KernelsTests
{
    private const string Entry = "column_sums_add";

    [Fact]
    public void The_list_has_every_variant_with_its_entry_points()
    {
        ToolRun run = Tool.Run("kernels", "list", "--json");
        Assert.Equal(0, run.Code);
        JsonElement[] kernels = [.. run.Json.GetProperty("kernels").EnumerateArray()];
        Assert.Equal(KernelCatalog.All.Count, kernels.Length);
        Assert.All(kernels, k => Assert.NotEqual(0, k.GetProperty("entries").GetArrayLength()));
        Assert.Contains("layernorm_forward_warp_per_row", Tool.Run("kernels").Out);
        Assert.Equal(Tool.Run("kernels").Out, Tool.Run("kernels", "list").Out);
    }

    [Theory]
    [InlineData("list")]
    [InlineData("build")]
    [InlineData("show")]
    [InlineData("resources")]
    public void Help_of_a_subcommand_has_examples_that_parse(string name)
    {
        ToolRun help = Tool.Run("kernels", name, "--help");
        Assert.Equal(0, help.Code);
        string[] examples = [.. help.Out.Split("Examples:")[1].Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0)];
        Assert.NotEmpty(examples);
        Assert.All(examples, CommandLines.AssertParses);
    }

    [Fact]
    public void Wrong_architectures_and_entries_are_errors_that_name_them()
    {
        Tool.AssertFails(2, "--arch", "kernels", "show", Entry, "--arch", "80");
        Tool.AssertFails(2, "--out", "kernels", "build");
    }

    [Fact]
    [Requires(Capability.Nvrtc)]
    public void Show_reports_what_an_entry_point_needs()
    {
        ToolRun run = Tool.Run("kernels", "show", Entry, "--arch", "sm_80,sm_90a", "--type", "bf16", "--json");
        Assert.True(run.Code == 0, run.Error);
        JsonElement[] figures = [.. run.Json.GetProperty("figures").EnumerateArray()];
        Assert.Equal(["sm_80", "sm_90a"], figures.Select(f => f.GetProperty("arch").GetString()));
        Assert.All(figures, f =>
        {
            Assert.Equal(Entry, f.GetProperty("entry").GetString());
            Assert.InRange(f.GetProperty("registers").GetInt32(), 8, 255);
            Assert.InRange(f.GetProperty("occupancy").GetDouble(), 0.1, 1);
        });
        Tool.AssertFails(2, "no_such_kernel", "kernels", "show", "no_such_kernel");
        Tool.AssertFails(2, "sm_35", "kernels", "show", Entry, "--arch", "sm_35");
    }

    [Fact]
    [Requires(Capability.Nvrtc | Capability.Nvdisasm)]
    public void Instructions_are_shown_with_their_counts()
    {
        ToolRun run = Tool.Run("kernels", "show", Entry, "--arch", "sm_80", "--sass");
        Assert.True(run.Code == 0, run.Error);
        Assert.Contains("EXIT ;", run.Out);
        Assert.DoesNotContain("NOP;", run.Out);
        Assert.DoesNotContain("column_sums_slice:", run.Out);
        Assert.Contains($"{Entry}, bf16, sm_80\nwhole function, ", run.Out);

        // Definitions choose the variant, and where there is no bf16 the kernel's own type is shown.
        JsonElement json = Tool.Run("kernels", "show", "matmul_simt_forward", "--options", "tile=64", "--arch", "sm_90a", "--sass", "--json").Json;
        Assert.Equal(("f32", "tile=64"), (json.GetProperty("type").GetString(), json.GetProperty("options").GetString()));
        Assert.True(json.GetProperty("counts").GetProperty("FFMA").GetInt32() >= 64);
        Assert.NotEqual(0, json.GetProperty("loops").GetArrayLength());
        Tool.AssertFails(2, "tile=7", "kernels", "show", "matmul_simt_forward", "--options", "tile=7", "--sass");
    }

    [Fact]
    public void A_disassembler_that_is_not_there_is_named_with_what_to_do()
    {
        using TemporaryFolder empty = new();
        Dictionary<string, string> nothing = new(StringComparer.Ordinal) { ["PATH"] = empty.Root, ["DVP_NVRTC"] = empty.Root, ["CUDA_PATH"] = empty.Root };
        ToolRun run = CommandProcess.Run(nothing, "kernels", "show", Entry, "--arch", "sm_80", "--sass");
        Assert.Equal(2, run.Code);
        Assert.Contains("nvdisasm was not found beside NVRTC, on the PATH or in CUDA_PATH/bin", run.Error);
    }

    [Fact]
    public void A_listing_is_cut_to_the_function_asked_for()
    {
        const string Listing = "head\n//------- .text.one      --------\none:\n  A ;\n\n//------- .text.one_more --------\none_more:\n  B ;\n";
        Assert.Equal("one:\n  A ;", Disassembler.Function(Listing, "one"));
        Assert.Equal("one_more:\n  B ;", Disassembler.Function(Listing, "one_more"));
        Assert.Null(Disassembler.Function(Listing, "two"));
    }

    [Fact]
    public void Loops_and_kinds_of_instructions_are_read_from_a_listing()
    {
        const string Function = """
            one:
            .text.one:
                    /*0000*/                   LDC R1, c[0x0][0x28] ;
            .L_x_1:
                    /*0010*/                   LDGSTS.E.BYPASS.128 [R17+0x2000], desc[UR10][R10.64] ;
            .L_x_2:
                    /*0020*/              @!P1 LDG.E.U16 R2, desc[UR4][R2.64+0x6] ;
                    /*0030*/              @!P0 BRA `(.L_x_2) ;
                    /*0040*/                   HMMA.16816.F32.BF16 R4, R32, R26, R4 ;
                    /*0050*/                   @P5 BRA `(.L_x_1) ;
                    /*0060*/                   BRA.U !UP0, `(.L_x_1) ;
                    /*0070*/                   EXIT ;
            .L_x_3:
                    /*0080*/                   BRA `(.L_x_3);
                    /*0090*/                   NOP;
            """;
        MachineCodeListing listing = MachineCodeListing.Parse(Function);
        Assert.Equal(9, listing.Instructions.Count);
        Assert.Equal([(0x10, 0x60), (0x20, 0x30)], listing.Loops);
        Assert.Equal(
            [
                "whole function, 9 instructions: HMMA 1, LDGSTS.BYPASS.128 1, LDG.16 1, control 5, other 1",
                "loop 0010-0060, 4 instructions: HMMA 1, LDGSTS.BYPASS.128 1, control 2",
                "  loop 0020-0030, 2 instructions: LDG.16 1, control 1",
            ],
            listing.Summary());
        Assert.Equal([16, 2], listing.Instructions.Where(i => i.Name.StartsWith("LDG", StringComparison.Ordinal)).Select(i => i.Bytes));
        Assert.StartsWith("one:\n.text.one:\n", listing.Text);
        Assert.DoesNotContain("NOP", listing.Text);
    }

    [Fact]
    [Requires(Capability.Nvrtc)]
    public void What_was_measured_is_not_compiled_again()
    {
        using TemporaryFolder folder = new();
        Dvp.Cuda.Nvrtc nvrtc = KernelTools.Open(DvpEnvironment.CudaOptions(), ["sm_80"]);
        IReadOnlyList<CompiledEntry> first = KernelTools.Compile(nvrtc, ["sm_80"], Entry, folder.Root, null);
        string[] files = Directory.GetFiles(folder.Root);
        Assert.NotEmpty(files);
        File.WriteAllText(files[0], $"{Entry} 99 1 2 3 4 128\n"); // what is kept is what is believed
        IReadOnlyList<CompiledEntry> second = KernelTools.Compile(nvrtc, ["sm_80"], Entry, folder.Root, null);
        Assert.Equal(first.Count, second.Count);
        CompiledEntry changed = Assert.Single(second, e => e.Resources.Registers == 99);
        Assert.Equal(new KernelResources(Entry, 99, 1, 2, 3, 4), changed.Resources);
        Assert.Equal(128, changed.LaunchBounds);

        // Neither a damaged file nor a folder that cannot be written to is worth more than compiling again.
        File.WriteAllText(files[0], $"{Entry} 99 many\n");
        Assert.Equal(first, KernelTools.Compile(nvrtc, ["sm_80"], Entry, folder.Root, null));
        Assert.Equal(first, KernelTools.Compile(nvrtc, ["sm_80"], Entry, Path.Combine(files[0], "no folder"), null));
    }
}
