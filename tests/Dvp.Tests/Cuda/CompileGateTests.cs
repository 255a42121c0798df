using Dvp.Cuda;
using Dvp.Engine.Devices.Cuda;
using Dvp.Settings;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>
/// Every variant of every kernel, compiled for every architecture by NVRTC: once, for all tests of the class. What a compilation needed is
/// kept in the cache folder by the hash of its texts, options and compiler, so that a second run compiles what changed.
/// </summary>
public sealed class CompiledKernels
{
    private readonly Lazy<(string Version, IReadOnlyList<CompiledEntry> Entries)> _all = new(() =>
    {
        CudaOptions options = DvpEnvironment.CudaOptions();
        Nvrtc nvrtc = KernelTools.Open(options, KernelTools.Architectures);
        return (nvrtc.Version.ToString(), KernelTools.Compile(nvrtc, KernelTools.Architectures, null, KernelTools.MeasuredFolder(options), null));
    });

    internal IReadOnlyList<CompiledEntry> Entries => _all.Value.Entries;

    internal string Version => _all.Value.Version;
}

[Requires(Capability.Nvrtc)]
public sealed class CompileGateTests(CompiledKernels kernels) : IClassFixture<CompiledKernels>
{
    [Fact]
    public void Every_entry_point_of_every_variant_compiles_for_every_architecture()
    {
        string[] expected = [.. from v in KernelTools.List() from e in v.Entries from a in KernelTools.Architectures select $"{v.File} {v.Real} {v.Options} {e} {a}"];
        string[] compiled = [.. kernels.Entries.Select(e =>
            $"{e.Variant.File} {KernelCompiler.TypeName(e.Variant.Real)} {e.Variant.Options} {e.Resources.Entry} {e.Architecture}")];
        Assert.Equal(expected.Order(StringComparer.Ordinal), compiled.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_kernel_file_is_in_the_catalog() =>
        Assert.Equal(KernelSources.Files, KernelCatalog.All.Select(v => v.File).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void No_kernel_spills_without_a_reason_and_no_reason_is_stale() =>
        Assert.Equal(
            KernelSpills.Entries.Order(StringComparer.Ordinal),
            kernels.Entries.Where(e => e.Resources.Spills).Select(e => e.Resources.Entry).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void Every_kernel_fits_its_usual_block_on_every_architecture() => Assert.All(
        kernels.Entries,
        e =>
        {
            (int threads, int dynamic, _) = KernelResourceTable.Shape(e);
            GpuArchitecture architecture = GpuArchitecture.All.Single(a => a.Name == e.Architecture);
            Assert.True(architecture.ResidentBlocks(e.Resources.Registers, e.Resources.SharedBytes + dynamic, threads) > 0, $"{e}");
        });

    /// <summary>What kernels/matmul_mma.cu and docs/kernels.md say of the largest tile: while one block waits at its barrier, the other multiplies.</summary>
    [Fact]
    public void Two_blocks_of_the_largest_tile_fit_a_multiprocessor() => Assert.All(
        kernels.Entries.Where(e => e.Variant is { File: "matmul_mma", Options: "tile_m=128 tile_n=128" }),
        e =>
        {
            GpuArchitecture architecture = GpuArchitecture.All.Single(a => a.Name == e.Architecture);
            Assert.True(architecture.ResidentBlocks(e.Resources.Registers, e.Resources.SharedBytes, 256) >= 2, $"{e}");
        });

    /// <summary>The launcher fills shared memory up to what is left beside the kernels' own.</summary>
    [Fact]
    public void Static_shared_memory_of_prompt_attention_is_what_its_launcher_leaves_free() => Assert.All(
        kernels.Entries.Where(e => e.Resources.Entry is "prompt_attention_forward" or "prompt_attention_backward"),
        e => Assert.InRange(e.Resources.SharedBytes, 1, CudaBackend.PromptFixedBytes));

    [Fact]
    public void The_committed_table_is_what_the_kernels_need()
    {
        string committed = File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, "kernels", "RESOURCES.md")).ReplaceLineEndings("\n");
        string[] now = KernelResourceTable.ToMarkdown(kernels.Entries, kernels.Version).Split('\n'), before = committed.Split('\n');
        string[] changed = [.. now.Except(before).Select(l => "+ " + l), .. before.Except(now).Select(l => "- " + l)];
        Assert.True(changed.Length == 0 && now.Length == before.Length, $"kernels/RESOURCES.md is stale: run dvp kernels resources.\n{string.Join('\n', changed.Take(20))}");
    }
}
