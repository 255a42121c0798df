using System.Text;
using Dvp.Cuda;
using Dvp.Engine;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Profiling;
using Xunit;

namespace Dvp.Tests.Cuda;

public sealed class NvrtcTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dvp-nvrtc-").FullName;

    private static NvrtcSearch Search => new(Environment.GetEnvironmentVariable("DVP_NVRTC"), [], null);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_driver_gets_no_compiler_newer_than_itself()
    {
        NvrtcSearch old = new(null, [], new CudaVersion(12, 4));
        Assert.DoesNotContain(old.Names, n => n.Contains("13", StringComparison.Ordinal));
        Assert.Equal((old with { Driver = new CudaVersion(13, 0) }).Names[1], old.Names[0]);
        Assert.True(new CudaVersion(12, 9) < new CudaVersion(13, 0));
        Assert.True(new CudaVersion(12, 9) > new CudaVersion(12, 8));
        Assert.Equal(new CudaVersion(12, 4), CudaVersion.FromNumber(12040));
    }

    [Fact]
    [Requires(Capability.Nvrtc)]
    public void A_compiler_given_by_file_is_refused_where_the_driver_cannot_run_its_code()
    {
        CudaException e = Assert.Throws<CudaException>(() => Nvrtc.Open(Search with { Driver = new CudaVersion(11, 8), Path = Nvrtc.Open(Search).File }));
        Assert.Contains("driver of CUDA 11.8 cannot run", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_found_says_what_was_tried_and_what_to_do()
    {
        CudaException e = Assert.Throws<CudaException>(() => Nvrtc.Open(new NvrtcSearch(_folder, [], new CudaVersion(13, 0))));
        Assert.Contains(_folder, e.Message, StringComparison.Ordinal);
        Assert.Contains("Install NVRTC", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Toolkits_and_python_packages_are_searched()
    {
        string packages = Path.Combine(_folder, "lib", "python3.12", "site-packages", "nvidia", "cuda_nvrtc", "lib");
        Directory.CreateDirectory(packages);
        Directory.CreateDirectory(Path.Combine(_folder, "lib64"));
        IReadOnlyList<string> folders = NvrtcSearch.UsualFolders([_folder, Path.Combine(_folder, "nowhere")]);
        Assert.Contains(packages, folders);
        Assert.Contains(Path.Combine(_folder, "lib64"), folders);
        string library = Path.Combine(packages, new NvrtcSearch(null, [], new CudaVersion(12, 0)).Names[0]);
        File.WriteAllText(library, "");
        Assert.Contains(library, new NvrtcSearch(null, folders, new CudaVersion(12, 0)).Candidates);
    }

    [Fact]
    public void The_newest_that_fits_is_tried_first_in_whichever_folder_it_lies()
    {
        string older = Directory.CreateDirectory(Path.Combine(_folder, "older")).FullName, newer = Directory.CreateDirectory(Path.Combine(_folder, "newer")).FullName;
        NvrtcSearch thirteen = new(null, [older, newer], new CudaVersion(13, 0)), twelve = thirteen with { Driver = new CudaVersion(12, 4) };
        File.WriteAllText(Path.Combine(older, twelve.Names[0]), "");
        File.WriteAllText(Path.Combine(newer, thirteen.Names[0]), "");
        Assert.Equal([Path.Combine(newer, thirteen.Names[0]), Path.Combine(older, twelve.Names[0])], thirteen.Candidates.Where(Path.IsPathRooted));
        Assert.Equal([Path.Combine(older, twelve.Names[0])], twelve.Candidates.Where(Path.IsPathRooted));
    }

    [Fact]
    [Requires(Capability.Nvrtc)]
    public void A_kernel_file_compiles_to_machine_code_and_to_ptx()
    {
        Nvrtc nvrtc = Nvrtc.Open(Search);
        KernelVariant variant = new("layernorm", ElementType.BF16);
        byte[] cubin = KernelCompiler.Compile(nvrtc, variant, "sm_80").Code;
        Assert.Equal("\u007fELF"u8, cubin.AsSpan(0, 4));
        string ptx = Encoding.UTF8.GetString(KernelCompiler.Compile(nvrtc, variant, KernelCompiler.PortableTarget).Code);
        Assert.Contains(".target sm_80", ptx, StringComparison.Ordinal);
        Assert.Contains(80, nvrtc.Capabilities);
    }

    [Fact]
    [Requires(Capability.Nvrtc | Capability.KernelHost)]
    public void A_compiler_and_the_kernel_host_stand_each_other_in_one_process()
    {
        // NVRTC looks for a driver that is loaded already and asks it for more than its documented functions.
        using CudaContext context = CudaDriver.Open(KernelHost.Folder).OpenDevice(0);
        byte[] code = KernelCompiler.Compile(Nvrtc.Open(Search), new KernelVariant("layernorm", ElementType.F32), "sm_80").Code;
        Assert.NotEmpty(code);
    }

    [Fact]
    [Requires(Capability.Nvrtc)]
    public void An_error_in_a_text_names_file_and_line()
    {
        CudaException e = Assert.Throws<CudaException>(() => Nvrtc.Open(Search).Compile(
            "#include \"h.cuh\"\nint f() { return unknown; }", "wrong.cu", [new NvrtcHeader("h.cuh", "")], ["-arch=sm_80"]));
        Assert.Equal("nvrtcCompileProgram", e.Call);
        Assert.Contains("wrong.cu(2)", e.Message, StringComparison.Ordinal);
        Assert.Contains("NVRTC_ERROR_COMPILATION", e.ErrorName, StringComparison.Ordinal);
    }

    [Fact]
    [Requires(Capability.Nvrtc)]
    public void Which_compiler_it_is_is_remembered_without_loading_it_again()
    {
        CompilerChoice first = new(Search, _folder);
        string identity = first.Identity;
        Assert.True(first.IsLoaded);

        CompilerChoice second = new(Search, _folder);
        Assert.Equal(identity, second.Identity);
        Assert.False(second.IsLoaded);
        Assert.Equal(first.Load().Version, second.Load().Version);
    }

    [Fact]
    [Requires(Capability.Nvrtc)]
    public void A_compiler_that_changed_is_loaded_to_see_what_it_is()
    {
        _ = new CompilerChoice(Search, _folder).Identity;
        string record = Directory.GetFiles(_folder).Single();
        string[] lines = File.ReadAllLines(record);
        File.WriteAllLines(record, [lines[0], lines[1], $"NVRTC {lines[1]} 1 1"]); // as if the file had another size and time
        CompilerChoice changed = new(Search, _folder);
        Assert.Equal(lines[2], changed.Identity);
        Assert.True(changed.IsLoaded);
    }

    [Fact]
    public void Where_the_compiler_is_gone_its_kernels_still_serve()
    {
        NvrtcSearch search = new(_folder, [], new CudaVersion(13, 0));
        CompilerChoice choice = new(search, _folder);
        Assert.Throws<CudaException>(() => choice.Identity);
        string record = Path.Combine(_folder, $"nvrtc-{KernelCompiler.Hash([_folder, "", .. search.Names])[..16]}.txt");
        File.WriteAllLines(record, [Path.Combine(_folder, "libnvrtc.so.13"), "13.0", "NVRTC 13.0 7 8"]);
        CompilerChoice later = new(search, _folder);
        Assert.Equal("NVRTC 13.0 7 8", later.Identity);
        Assert.Throws<CudaException>(later.Load);
    }

    [Fact]
    [Requires(Capability.KernelHost)]
    public void A_record_that_cannot_be_read_counts_as_none()
    {
        NvrtcSearch search = new(KernelHost.Folder, [], null);
        string identity = new CompilerChoice(search, _folder).Identity;
        using FileStream held = new(Directory.GetFiles(_folder).Single(), FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        CompilerChoice second = new(search, _folder);
        Assert.Equal(identity, second.Identity);
        Assert.True(second.IsLoaded);
    }

    [Fact]
    public void Without_a_driver_the_device_is_said_to_be_missing()
    {
        DvpException e = Assert.Throws<DvpException>(() => CudaBackend.Open(1, ElementType.F32, new CudaOptions { Driver = _folder }));
        Assert.Equal(DvpExitCode.NoDevice, e.ExitCode);
        Assert.Contains("cuda:1", e.Message, StringComparison.Ordinal);
        Assert.Contains(_folder, e.Message, StringComparison.Ordinal);
        Assert.Contains("--device cpu", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_driver_is_named()
    {
        string file = Path.Combine(_folder, CudaDriver.Names[0]);
        File.WriteAllText(file, "no library");
        CudaException e = Assert.Throws<CudaException>(() => CudaDriver.Open(file));
        Assert.Contains(file, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("not found", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Looking_at_a_machine_without_anything_never_throws()
    {
        CudaProbe probe = CudaProbe.Run(_folder, _folder, []);
        Assert.Empty(probe.Devices);
        Assert.NotNull(probe.Driver.Problem);
        Assert.NotNull(probe.Nvrtc.Problem);
        Assert.NotEmpty(probe.Driver.Tried);
        Assert.NotEmpty(probe.Nvrtc.Tried);
        Assert.False(probe.Driver.IsUnusable || probe.Nvrtc.IsUnusable);
        DoctorFinding finding = Doctor.Library("driver", probe.Driver, "Install it.");
        Assert.StartsWith("missing", finding.Value, StringComparison.Ordinal);
        Assert.Equal("Install it.", finding.Mend);
    }

    [Fact]
    [Requires(Capability.KernelHost)]
    public void A_library_that_is_there_and_of_no_use_is_not_called_missing()
    {
        CudaProbe probe = CudaProbe.Run(KernelHost.Nvrtc, KernelHost.Nvrtc, []); // a compiler in the driver's place
        Assert.True(probe.Driver.IsUnusable);
        DoctorFinding finding = Doctor.Library("driver", probe.Driver, "Install it.");
        Assert.StartsWith("cannot be used", finding.Value, StringComparison.Ordinal);
        Assert.Contains("has no function cuInit", finding.Mend, StringComparison.Ordinal);
        Assert.Null(Doctor.Library("compiler", probe.Nvrtc, "Install it.").Mend);
    }
}
