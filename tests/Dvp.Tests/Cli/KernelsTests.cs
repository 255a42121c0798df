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
    [Requires(Capability.Nvrtc)]
    public void Instructions_are_shown_where_the_disassembler_is_found_and_else_an_error_names_it()
    {
        ToolRun run = Tool.Run("kernels", "show", Entry, "--arch", "sm_80", "--sass");
        if (DvpEnvironment.FindCudaProgram(Disassembler.Program) is null)
        {
            Assert.Equal(2, run.Code);
            Assert.Contains(Disassembler.Program, run.Error);
        }
        else
        {
            Assert.True(run.Code == 0, run.Error);
            Assert.Contains("EXIT ;", run.Out);
            Assert.DoesNotContain("column_sums_slice:", run.Out);
        }
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
