using Dvp.Cuda;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>The library alone, on the kernel host.</summary>
[Requires(Capability.KernelHost)]
public sealed class CudaLibraryTests : IDisposable
{
    private const string Text = """
        extern "C" __global__ void axpy(float* y, const float* x, float a, int n)
        {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) y[i] += a * x[i];
        }
        extern "C" __global__ void reverse(float* y, int n)
        {
            extern __shared__ float s[];
            for (int i = threadIdx.x; i < n; i += blockDim.x) s[i] = y[i];
            __syncthreads();
            for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = s[n - 1 - i];
        }
        """;

    private static readonly Lazy<byte[]> s_code = new(() => Nvrtc.Open(new NvrtcSearch(KernelHost.Folder, [], null))
        .Compile(Text, "test.cu", [], ["-arch=sm_80"]).Code);

    // Opened by the test and not with it: where the host is missing the test is skipped before it begins.
    private CudaContext? _opened;
    private CudaStream? _made;

    private CudaContext Context => _opened ??= CudaDriver.Open(KernelHost.Folder).OpenDevice(0);

    private CudaStream Stream => _made ??= Context.CreateStream();

    public void Dispose()
    {
        _made?.Dispose();
        _opened?.Dispose();
    }

    [Fact]
    public void A_kernel_is_compiled_loaded_launched_and_timed()
    {
        using CudaModule module = Context.LoadModule(s_code.Value);
        CudaFunction axpy = module.Function("axpy");
        float[] values = [1, 2, 3];
        using DeviceMemory x = Context.Allocate(12), y = Context.Allocate(12);
        Stream.Upload<float>(x, values);
        Stream.Upload<float>(y, values);
        using CudaEvent start = Context.CreateEvent(), end = Context.CreateEvent();
        Stream.Record(start);
        Stream.Launch(axpy, grid: 1, block: 32, sharedBytes: 0, y, x, 2f, values.Length);
        Stream.Record(end);
        Stream.Download<float>(values, y);
        Assert.Equal([3f, 6, 9], values);
        Assert.True(end.MillisecondsSince(start) >= 0);
        Assert.Equal("axpy", Context.LastLaunch);
        Assert.Null(Context.FirstError);
    }

    [Fact]
    public void A_function_tells_what_it_takes()
    {
        using CudaModule module = Context.LoadModule(s_code.Value);
        CudaFunction axpy = module.Function("axpy");
        Assert.Equal([8, 8, 4, 4], axpy.ParameterBytes);
        Assert.Equal(0, axpy.SharedBytes);
        Assert.InRange(axpy.MaxThreads, 32, 1024);
        Assert.True(axpy.BlocksPerMultiprocessor(128, 0) >= 1);
        using DeviceMemory y = Context.Allocate(4);
        Assert.Throws<ArgumentException>(() => Stream.Launch(axpy, 1, 1, 0, y, y, 1f));
    }

    [Fact]
    public void More_than_48_KiB_of_shared_memory_are_there_when_asked_for()
    {
        const int Count = 16 * 1024;
        using CudaModule module = Context.LoadModule(s_code.Value);
        CudaFunction reverse = module.Function("reverse");
        float[] values = [.. Enumerable.Range(0, Count).Select(i => (float)i)];
        using DeviceMemory y = Context.Allocate(Count * sizeof(float));
        Stream.Upload<float>(y, values);
        CudaException e = Assert.Throws<CudaException>(() => Stream.Launch(reverse, 1, 64, Count * sizeof(float), y, Count));
        Assert.Equal("reverse", e.Kernel);
        Assert.True(reverse.AllowAllSharedMemory() >= Count * sizeof(float));
        Stream.Launch(reverse, 1, 64, Count * sizeof(float), y, Count);
        Stream.Download<float>(values, y);
        Assert.Equal(Count - 1, values[0]);
        Assert.Equal(0, values[^1]);
    }

    [Fact]
    public void Recorded_work_runs_each_time_it_is_launched()
    {
        using CudaModule module = Context.LoadModule(s_code.Value);
        CudaFunction axpy = module.Function("axpy");
        using DeviceMemory x = Context.Allocate(4), y = Context.Allocate(4);
        Stream.Upload<float>(x, [1]);
        Stream.Upload<float>(y, [0]);
        using CudaGraph graph = Stream.Capture(() =>
        {
            Assert.True(Stream.IsCapturing);
            Stream.Launch(axpy, 1, 1, 0, y, x, 1f, 1);
            Stream.Launch(axpy, 1, 1, 0, y, x, 10f, 1);
        });
        Assert.False(Stream.IsCapturing);
        float[] value = [5];
        Stream.Download<float>(value, y);
        Assert.Equal(0, value[0]); // recording runs nothing
        graph.Launch(Stream);
        graph.Launch(Stream);
        Stream.Download<float>(value, y);
        Assert.Equal(22, value[0]);
    }

    [Fact]
    public void An_error_while_recording_ends_the_recording_and_is_the_one_thrown()
    {
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(
            () => Stream.Capture(() => throw new InvalidOperationException("the action's own")));
        Assert.Equal("the action's own", e.Message);
        Assert.False(Stream.IsCapturing);
        using DeviceMemory y = Context.Allocate(4);
        Stream.Fill(y.Address, 1, 4);
        int[] value = [0];
        Stream.Download<int>(value, y);
        Assert.Equal(0x01010101, value[0]);
    }

    [Fact]
    public void Rows_a_pitch_apart_are_copied_as_rows()
    {
        int[] values = [.. Enumerable.Range(0, 12)];
        using DeviceMemory memory = Context.Allocate(48);
        Stream.Upload<int>(memory, values);
        using PinnedMemory rows = Context.AllocatePinned(24);
        Stream.CopyRowsToHost(rows.Address, memory.Address + 4, width: 8, rows: 3, pitch: 16);
        Stream.Synchronize();
        Assert.Equal([1, 2, 5, 6, 9, 10], System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(rows.Span(0, 24)));
    }

    [Fact]
    public void AStream_waits_for_another()
    {
        using CudaContext late = CudaDriver.Open(KernelHost.FolderFor("late")).OpenDevice(0);
        using CudaStream first = late.CreateStream(), second = late.CreateStream();
        using CudaEvent written = late.CreateEvent(timing: false);
        using DeviceMemory memory = late.Allocate(4);
        first.Fill(memory.Address, 7, 4);
        first.Record(written);
        second.WaitFor(written);
        int[] value = [0];
        second.Download<int>(value, memory);
        Assert.Equal(0x07070707, value[0]);
    }

    [Fact]
    public void Pieces_of_the_ring_are_not_filled_again_before_their_copy_ran()
    {
        const int Pieces = 40, Bytes = 1000;
        using CudaContext late = CudaDriver.Open(KernelHost.FolderFor("late")).OpenDevice(0);
        using CudaStream stream = late.CreateStream();
        using DeviceMemory memory = late.Allocate(Pieces * Bytes);
        using StagingRing ring = new(late, stream, 2048);
        for (int i = 0; i < Pieces; i++)
        {
            ring.Next(Bytes, out nint address).Fill((byte)(i + 1));
            stream.CopyToDevice(memory.Address + (i * Bytes), address, Bytes);
        }

        byte[] values = new byte[Pieces * Bytes];
        stream.Download<byte>(values, memory);
        Assert.All(Enumerable.Range(0, Pieces), i => Assert.All(values[(i * Bytes)..((i + 1) * Bytes)], v => Assert.Equal(i + 1, v)));
    }

    [Fact]
    public void The_first_error_is_the_one_that_every_later_call_reports()
    {
        using CudaContext context = CudaDriver.Open(KernelHost.FolderFor("fail=fault:2", nameof(CudaLibraryTests))).OpenDevice(0);
        using CudaStream stream = context.CreateStream();
        using CudaModule module = context.LoadModule(s_code.Value);
        using DeviceMemory x = context.Allocate(4), y = context.Allocate(4);
        CudaFunction axpy = module.Function("axpy");
        CudaException first = Assert.Throws<CudaException>(() =>
        {
            for (int i = 0; i < 3; i++)
            {
                stream.Launch(axpy, 1, 1, 0, y, x, 1f, 1);
            }

            stream.Synchronize();
        });
        Assert.Equal("axpy", first.Kernel);
        Assert.Contains("axpy", first.Message, StringComparison.Ordinal);
        CudaException second = Assert.Throws<CudaException>(() => context.Allocate(100));
        Assert.Equal(first.Message, second.Message);
        Assert.Equal(first.Message, context.FirstError!.Message);
        Assert.Equal(first.Code, Assert.Throws<CudaException>(stream.Synchronize).Code);
    }

    [Fact]
    public void Blocking_launches_name_the_kernel_that_failed()
    {
        using CudaContext context = CudaDriver.Open(KernelHost.FolderFor("fail=fault:1", nameof(CudaLibraryTests))).OpenDevice(0, launchBlocking: true);
        using CudaStream stream = context.CreateStream();
        using CudaModule module = context.LoadModule(s_code.Value);
        using DeviceMemory x = context.Allocate(4), y = context.Allocate(4);
        CudaFunction axpy = module.Function("axpy");
        CudaException e = Assert.Throws<CudaException>(() => stream.Launch(axpy, 1, 1, 0, y, x, 1f, 1));
        Assert.Equal("axpy", e.Kernel);
        Assert.StartsWith("axpy (cu", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_code_is_refused_and_breaks_nothing()
    {
        CudaException e = Assert.Throws<CudaException>(() => Context.LoadModule("no code"u8));
        Assert.Equal("cuModuleLoadDataEx", e.Call);
        Assert.Null(Context.FirstError);
        using CudaModule module = Context.LoadModule(s_code.Value);
        CudaException missing = Assert.Throws<CudaException>(() => module.Function("unknown"));
        Assert.Contains("unknown (cuModuleGetFunction)", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_is_given_back_in_any_order_and_on_failure()
    {
        CudaContext context = CudaDriver.Open(KernelHost.FolderFor("fail=alloc:3", nameof(CudaLibraryTests))).OpenDevice(0);
        long free = context.Memory.Free;
        DeviceMemory first = context.Allocate(1 << 20), second = context.Allocate(1 << 20);
        CudaException e = Assert.Throws<CudaException>(() => context.Allocate(1 << 20));
        Assert.Equal(("cuMemAlloc_v2", 2), (e.Call, e.Code));
        Assert.Null(context.FirstError); // memory that is full can be freed
        Assert.Equal(free - (2 << 20), context.Memory.Free);
        first.Dispose();
        first.Dispose();
        Assert.Throws<ObjectDisposedException>(() => first.Address);
        context.Dispose(); // before what was made in it
        second.Dispose();
        Assert.Throws<ObjectDisposedException>(() => context.Memory);
        using CudaContext again = CudaDriver.Open(KernelHost.FolderFor("fail=alloc:3", nameof(CudaLibraryTests))).OpenDevice(0);
        Assert.Equal(free, again.Memory.Free);
    }

    [Fact]
    public void Any_thread_may_use_a_device()
    {
        using DeviceMemory memory = Context.Allocate(4);
        int[] value = [0];
        Thread thread = new(() =>
        {
            Stream.Fill(memory.Address, 3, 4);
            Stream.Download<int>(value, memory);
        });
        thread.Start();
        thread.Join();
        Assert.Equal(0x03030303, value[0]);
    }

    [Fact]
    public void A_machine_is_described()
    {
        CudaProbe probe = CudaProbe.Run(KernelHost.Folder, KernelHost.Folder, []);
        Assert.Null(probe.Driver.Problem);
        Assert.Null(probe.Nvrtc.Problem);
        CudaDeviceInfo device = Assert.Single(probe.Devices);
        Assert.StartsWith("sm_", device.Architecture, StringComparison.Ordinal);
        Assert.True(device.MemoryBytes > 0 && device.Multiprocessors > 0 && device.SharedBytesPerBlock >= 48 << 10);
        Assert.True(probe.Driver.Version >= probe.Nvrtc.Version);
        Assert.Equal(KernelHost.Driver, probe.Driver.File);
        CudaException e = Assert.Throws<CudaException>(() => CudaDriver.Open(KernelHost.Folder).OpenDevice(7));
        Assert.Contains("no CUDA device 7", e.Message, StringComparison.Ordinal);
    }
}
