using Dvp.Cuda;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Settings;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>The device under the operators: memory, copies, kernels from cache and bundle.</summary>
[Requires(Capability.KernelHost)]
public sealed class CudaBackendTests : CudaBackendTestBase
{
    [Theory]
    [InlineData(ElementType.F32, "")]
    [InlineData(ElementType.BF16, "")]
    [InlineData(ElementType.F16, "late")]
    public void Values_come_back_as_the_type_holds_them(ElementType type, string mode)
    {
        using CudaBackend backend = Open(mode);
        const int Count = (3 << 20) + 5; // several pieces of the staging ring
        using DeviceBuffer buffer = backend.Allocate((long)Count * type.Size());
        Tensor tensor = new(buffer, 0, type, [Count]);
        float[] values = [.. Enumerable.Range(0, Count).Select(i => (i % 251) - 125f)]; // exact in every type
        float[] back = new float[Count];
        backend.Download(back, tensor);
        Assert.All(back, v => Assert.Equal(0, v)); // fresh memory is zero
        backend.Upload(tensor, values);
        backend.Download(back, tensor);
        Assert.Equal(values, back);
        Assert.Equal((1, 2, 3L * Count * type.Size()), (backend.Counters.Uploads, backend.Counters.Downloads, backend.Counters.BytesCopied));
        Assert.Equal((long)Count * type.Size(), backend.Counters.BytesAllocated);
        buffer.Dispose();
        Assert.Equal(0, backend.Counters.BytesAllocated);
    }

    [Fact]
    public void Views_are_downloaded_row_by_row()
    {
        using CudaBackend backend = Open();
        using DeviceBuffer buffer = backend.Allocate(4 * 24);
        Tensor whole = new(buffer, 0, ElementType.I32, [2, 3, 4]);
        backend.Upload(whole, Enumerable.Range(0, 24).ToArray());
        float[] columns = new float[12], token = new float[8];
        backend.Download(columns, whole.SliceColumns(1, 2));
        backend.Download(token, whole.Token(1));
        Assert.Equal([1f, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22], columns);
        Assert.Equal([4f, 5, 6, 7, 16, 17, 18, 19], token);
    }

    [Fact]
    public void Rows_longer_than_a_piece_are_cut()
    {
        using CudaBackend backend = Open();
        const int Columns = (1 << 20) + 3, Stride = Columns + 2;
        using DeviceBuffer buffer = backend.Allocate(4L * 2 * Stride);
        float[] values = [.. Enumerable.Range(0, 2 * Stride).Select(i => (float)i)];
        backend.Upload(new Tensor(buffer, 0, ElementType.F32, [2, Stride]), values);
        float[] back = new float[2 * Columns];
        backend.Download(back, new Tensor(buffer, 0, ElementType.F32, [2, Columns], Stride));
        Assert.Equal(values[..Columns], back[..Columns]);
        Assert.Equal(values[Stride..(Stride + Columns)], back[Columns..]);
    }

    [Fact]
    public void Bytes_cross_unchanged_and_copies_that_do_not_fit_are_refused()
    {
        using CudaBackend backend = Open();
        using DeviceBuffer buffer = backend.Allocate(64);
        Tensor tensor = new(buffer, 0, ElementType.BF16, [3, 5]);
        byte[] bytes = [.. Enumerable.Range(1, 30).Select(i => (byte)i)], back = new byte[30];
        backend.UploadBytes(tensor, bytes);
        backend.DownloadBytes(back, tensor);
        Assert.Equal(bytes, back);
        Assert.Throws<ArgumentException>(() => backend.UploadBytes(tensor, bytes.AsSpan(0, 29)));
        Assert.Throws<ArgumentException>(() => backend.Upload(tensor.SliceColumns(0, 2), new float[6]));
        Assert.Throws<ArgumentException>(() => backend.Upload(tensor, new int[15]));
        Assert.Throws<ArgumentException>(() => backend.Download(new float[14], tensor));
        Assert.Throws<ArgumentException>(() => backend.DownloadBytes(new byte[12], tensor.SliceColumns(0, 2)));
    }

    [Fact]
    public void A_warm_cache_never_loads_the_compiler()
    {
        CudaOptions options = Options(KernelHost.Folder);
        CudaVersion driver;
        using (CudaBackend cold = CudaBackend.Open(0, ElementType.F32, options))
        {
            AssertFills(cold);
            Assert.Equal((0, 1, true), (cold.Origins.Cache, cold.Origins.Compiled, cold.Origins.CompilerLoaded));
            driver = cold.DriverVersion;
        }

        // In place of the compiler stands something of the same size and time that cannot be loaded: whoever looked inside would fail. It
        // stands in another folder, since the loader would not look at a file again that it has loaded; the record is told so.
        string folder = Directory.CreateDirectory(Path.Combine(Folder, "unloadable")).FullName;
        string library = Path.Combine(folder, "libnvrtc.so.13");
        FileInfo real = new(KernelHost.Nvrtc);
        File.WriteAllBytes(library, new byte[real.Length]);
        File.SetLastWriteTimeUtc(library, real.LastWriteTimeUtc);
        string[] record = File.ReadAllLines(Directory.GetFiles(options.CacheFolder!, "nvrtc-*.txt").Single());
        string request = KernelCompiler.Hash([folder, "", .. new NvrtcSearch(folder, [], driver).Names])[..16];
        File.WriteAllLines(Path.Combine(options.CacheFolder!, $"nvrtc-{request}.txt"), [library, .. record[1..]]);
        options = options with { Nvrtc = folder };
        using CudaBackend warm = CudaBackend.Open(0, ElementType.F32, options);
        AssertFills(warm);
        Assert.Equal((1, 0, false), (warm.Origins.Cache, warm.Origins.Compiled, warm.Origins.CompilerLoaded));
        KernelVariant other = KernelCatalog.All.First(v => v.File == "sample");
        Assert.Contains("cannot be loaded", Assert.Throws<DvpException>(() => warm.Warm([other])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Code_that_the_driver_refuses_is_compiled_again_with_a_note()
    {
        CudaOptions options = Options(KernelHost.Folder);
        using (CudaBackend first = CudaBackend.Open(0, ElementType.F32, options))
        {
            AssertFills(first);
        }

        string path = Directory.GetFiles(options.CacheFolder!, "*.kernel").Single();
        File.WriteAllBytes(path, (KernelImage.Read(File.ReadAllBytes(path)) with { Code = [1, 2, 3] }).ToBytes());
        using CudaBackend second = CudaBackend.Open(0, ElementType.F32, options);
        AssertFills(second);
        Assert.Equal(1, second.Origins.Compiled);
        Assert.Contains("built again", Assert.Single(Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Code_of_a_bundle_that_the_driver_refuses_is_compiled_where_a_compiler_is_and_else_the_refusal_is_the_error()
    {
        KernelVariant variant = KernelCatalog.All.First(v => v.File == "elementwise" && v.Real == ElementType.F32);
        string bundle = Directory.CreateDirectory(Path.Combine(Folder, "bundle")).FullName;
        KernelBundle.Write(bundle, variant, new KernelImage("elementwise", "sm_80", "host", KernelCompiler.Key(variant, "sm_80"), [1, 2, 3]));
        CudaOptions options = Options(KernelHost.Folder) with { CacheFolder = null, KernelsFolder = bundle };
        using (CudaBackend compiling = CudaBackend.Open(0, ElementType.F32, options))
        {
            AssertFills(compiling);
            Assert.Equal(new KernelOrigins(0, 0, 1, 0, true), compiling.Origins);
            Assert.Contains("build the folder again", Assert.Single(Notes), StringComparison.Ordinal);
        }

        using CudaBackend without = CudaBackend.Open(0, ElementType.F32, options with { Nvrtc = Folder });
        DvpException e = Assert.Throws<DvpException>(() => AssertFills(without));
        Assert.Equal(DvpExitCode.NoDevice, e.ExitCode);
        Assert.Contains("cuModuleLoadDataEx", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Auto_says_why_a_GPU_that_is_there_is_not_taken()
    {
        List<string> notes = [];
        CudaOptions withoutCompiler = Options(KernelHost.Folder) with { Nvrtc = Folder, CacheFolder = null };
        using (Backend cpu = DeviceChoice.Auto.Open(1, null, notes.Add, withoutCompiler))
        {
            Assert.StartsWith("cpu", cpu.Name, StringComparison.Ordinal);
            Assert.Contains("NVRTC cannot be loaded", Assert.Single(notes), StringComparison.Ordinal);
        }

        notes.Clear();
        using Backend gpu = DeviceChoice.Auto.Open(1, null, notes.Add, Options(KernelHost.Folder));
        Assert.Contains(gpu.Name, Assert.Single(notes), StringComparison.Ordinal);
        Assert.StartsWith("cuda:0", gpu.Name, StringComparison.Ordinal);
        notes.Clear();
        using Backend none = DeviceChoice.Auto.Open(1, null, notes.Add, withoutCompiler with { Driver = Folder });
        Assert.StartsWith("auto took the CPU: The CUDA driver cannot be loaded", Assert.Single(notes), StringComparison.Ordinal); // where one is named
    }

    [Theory]
    [InlineData("sm_80", 0)]
    [InlineData("compute_80", 1)]
    public void A_bundle_needs_no_compiler(string target, int portable)
    {
        KernelVariant variant = KernelCatalog.All.First(v => v.File == "elementwise" && v.Real == ElementType.F32);
        byte[] code = KernelCompiler.Compile(Nvrtc.Open(new NvrtcSearch(KernelHost.Folder, [], null)), variant, target).Code;
        string bundle = Directory.CreateDirectory(Path.Combine(Folder, "bundle")).FullName;
        KernelBundle.Write(bundle, variant, new KernelImage("elementwise", target, "host", KernelCompiler.Key(variant, target), code));
        CudaOptions options = Options(KernelHost.Folder) with { Nvrtc = Folder, CacheFolder = null, KernelsFolder = bundle };
        using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, options);
        AssertFills(backend);
        Assert.Equal(new KernelOrigins(1, 0, 0, portable, false), backend.Origins);
        Assert.Equal(portable, Notes.Count);
    }

    [Fact]
    public void Variants_are_compiled_in_parallel_before_they_are_needed()
    {
        using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, Options(KernelHost.Folder));
        KernelVariant[] variants = [.. KernelCatalog.All.Where(v => v.File is "elementwise" or "gated_mlp" or "sample").Take(3)];
        backend.Warm([.. variants, variants[0]]);
        Assert.Equal(3, backend.Origins.Compiled);
        backend.Warm(variants);
        Assert.Equal(3, backend.Origins.Compiled);
        Assert.Throws<InvalidOperationException>(() => backend.Warm([new KernelVariant("elementwise", ElementType.F32, "unlisted=1")]));
    }

    [Fact]
    public void Kernels_of_recorded_work_are_compiled_together_before_it_runs()
    {
        using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, Options(KernelHost.Folder));
        using DeviceBuffer buffer = backend.Allocate(64);
        Tensor x = new(buffer, 0, ElementType.F32, [4]), y = new(buffer, 32, ElementType.F32, [4]);
        Tensor norm = x.SliceColumns(0, 1);
        Tensor[] all = [y]; // its tables are kept by its identity
        using RecordedWork part = backend.Record(() => backend.GlobalNorm(norm, all));
        void Work()
        {
            backend.Fill(y, 2);
            part.Run();
        }

        backend.LoadKernels(Work);
        Assert.Equal((2, 0L), (backend.Origins.Compiled, backend.Counters.Launches));
        float[] values = new float[4];
        backend.Download(values, y);
        Assert.Equal([0f, 0, 0, 0], values); // nothing ran
        using RecordedWork work = backend.Record(Work);
        for (int run = 1; run <= 3; run++)
        {
            work.Run();
            backend.Download(values, x);
            Assert.Equal(4, values[0]);
            Assert.Equal((2, 3L * run, Math.Max(0, run - 1)), (backend.Origins.Compiled, backend.Counters.Launches, backend.Counters.GraphLaunches));
        }

        Assert.Throws<InvalidOperationException>(() => backend.LoadKernels(() => backend.Kernel("no_such_entry", "sample", ElementType.F32)));
        Assert.False(backend.IsPlanning);
    }

    [Fact]
    public void Weights_that_planned_work_reads_are_converted_when_it_runs()
    {
        using CudaBackend backend = CudaBackend.Open(0, ElementType.BF16, Options(KernelHost.Folder) with { CacheFolder = Path.Combine(KernelHost.Folder, "kernels") });
        using DeviceBuffer buffer = backend.Allocate(64);
        ParameterBlock weight = new(new Tensor(buffer, 0, ElementType.F32, [2, 3]), new Tensor(buffer, 32, ElementType.F32, [2, 3]));
        backend.Upload(weight.Value, [1f, 2, 3, 4, 5, 6]);
        weight.Touch();
        Tensor? form = null;
        backend.LoadKernels(() => form = backend.Form(weight));
        backend.LoadKernels(() => form = backend.Form(weight));
        float[] values = new float[6];
        backend.Download(values, form!);
        Assert.Equal([0f, 0, 0, 0, 0, 0], values);
        backend.Download(values, backend.Form(weight));
        Assert.Equal([1f, 2, 3, 4, 5, 6], values);
        weight.ReleaseDeviceForms();
    }

    [Fact]
    public void A_launch_makes_no_managed_allocation()
    {
        using CudaBackend backend = Open();
        using DeviceBuffer buffer = backend.Allocate(8);
        Tensor y = new(buffer, 0, ElementType.F32, [2]);
        backend.Fill(y, 1);
        backend.Fill(y, 2);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
        {
            backend.Fill(y, i);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Scratch_memory_grows_and_keeps_the_blocks_that_recordings_use()
    {
        using CudaBackend backend = Open();
        nint first = backend.Scratch(1000), other = backend.Scratch(1000, slot: 1);
        Assert.Equal(first, backend.Scratch(500));
        Assert.NotEqual(first, other);
        long held = backend.Counters.BytesAllocated;
        Assert.NotEqual(first, backend.Scratch(8 << 20));
        Assert.Equal(held + (8 << 20), backend.Counters.BytesAllocated);
        Assert.Equal(other, backend.Scratch(1000, slot: 1));
    }

    [Fact]
    public void Devices_that_fill_one_cache_at_once_all_get_their_kernels()
    {
        string[] hosts = [.. Enumerable.Range(0, 3).Select(i => KernelHost.FolderFor("", $"{nameof(CudaBackendTests)}{i}"))];
        Parallel.ForEach(hosts, host =>
        {
            using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, Options(host));
            AssertFills(backend);
        });
        Assert.Empty(Notes);
        Assert.Single(Directory.GetFiles(Path.Combine(Folder, "cache"), "*.kernel"));
        Assert.Empty(Directory.GetFiles(Path.Combine(Folder, "cache"), "*.tmp"));
    }

    [Fact]
    public void A_launch_that_does_not_fit_the_device_is_refused_by_name()
    {
        using CudaBackend backend = Open();
        CudaKernel kernel = backend.Kernel("elementwise_fill", "elementwise", ElementType.F32);
        KernelArgument[] arguments = [.. kernel.Signature.Parameters.Select(p => p.Kind switch
        {
            KernelArgumentKind.Pointer => KernelArgument.Address(0),
            KernelArgumentKind.Float => 0f,
            KernelArgumentKind.Long => 0L,
            _ => 0,
        })];
        Assert.Contains("elementwise_fill", Assert.Throws<ArgumentException>(() => kernel.Launch(1, 2048, 0, arguments)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => kernel.Launch(1, 32, kernel.MaxSharedBytes + 1, arguments));
        Assert.Throws<ArgumentException>(() => kernel.Launch((1, 70_000), 32, 0, arguments));
        Assert.Throws<ArgumentException>(() => kernel.Launch(1, 32, 0, arguments.AsSpan(1)));
        kernel.Launch(0, 32, 0, arguments); // no blocks, no launch
        Assert.Equal(0, backend.Counters.Launches);
    }

    [Fact]
    public void The_device_says_what_it_is()
    {
        using CudaBackend backend = Open();
        Assert.StartsWith("cuda:0 (", backend.Name, StringComparison.Ordinal);
        Assert.Contains(backend.Device.Architecture, backend.Name, StringComparison.Ordinal);
        Assert.Equal(ElementType.F32, backend.AccumulationType);
        Assert.Throws<ArgumentException>(() => CudaBackend.Open(0, ElementType.F64, Options(KernelHost.Folder)));
        DvpException e = Assert.Throws<DvpException>(() => CudaBackend.Open(3, ElementType.F32, Options(KernelHost.Folder)));
        Assert.Equal(DvpExitCode.NoDevice, e.ExitCode);
        Assert.Contains("cuda:3", e.Message, StringComparison.Ordinal);
    }
}
