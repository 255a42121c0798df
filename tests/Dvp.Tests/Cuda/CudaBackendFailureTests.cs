using Dvp.Cuda;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>Recorded work, and what is said when something fails.</summary>
[Requires(Capability.KernelHost)]
public sealed class CudaBackendFailureTests : CudaBackendTestBase
{
    [Fact]
    public void Recorded_work_is_one_graph_launch_without_managed_memory()
    {
        using CudaBackend backend = Open();
        using DeviceBuffer buffer = backend.Allocate(64);
        Tensor x = new(buffer, 0, ElementType.F32, [4]), y = new(buffer, 32, ElementType.F32, [4]);
        backend.Upload(x, [1f, 2, 3, 4]);
        using RecordedWork work = backend.Record(() =>
        {
            backend.Add(y, x);
            backend.Add(y, x);
        });
        work.Run(); // ordinary
        Assert.Equal((2, 0), (backend.Counters.Launches, backend.Counters.GraphLaunches));
        work.Run(); // recorded and launched
        Assert.Equal((4, 1), (backend.Counters.Launches, backend.Counters.GraphLaunches));
        long before = GC.GetAllocatedBytesForCurrentThread();
        work.Run();
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal((6, 2), (backend.Counters.Launches, backend.Counters.GraphLaunches));
        float[] values = new float[4];
        backend.Download(values, y);
        Assert.Equal([6f, 12, 18, 24], values);
    }

    [Fact]
    public void Recorded_work_inside_recorded_work_becomes_part_of_it()
    {
        using CudaBackend backend = Open();
        using DeviceBuffer buffer = backend.Allocate(8);
        Tensor x = new(buffer, 0, ElementType.F32, [1]), y = new(buffer, 4, ElementType.F32, [1]);
        backend.Upload(x, [1f]);
        using RecordedWork inner = backend.Record(() => backend.Add(y, x));
        using RecordedWork outer = backend.Record(inner.Run);
        for (int i = 0; i < 4; i++)
        {
            outer.Run();
        }

        float[] value = new float[1];
        backend.Download(value, y);
        Assert.Equal(4, value[0]);
    }

    [Fact]
    public void Recording_refuses_what_cannot_be_recorded_and_the_device_goes_on()
    {
        using CudaBackend backend = Open();
        using DeviceBuffer buffer = backend.Allocate(8);
        Tensor y = new(buffer, 0, ElementType.F32, [1]);
        Action[] refused =
        [
            () => backend.Allocate(16),
            () => backend.Upload(y, [1f]),
            () => backend.Download(new float[1], y),
            () => backend.Synchronize(),
            () => backend.Scratch(1 << 24),
        ];
        foreach (Action action in refused)
        {
            Assert.Contains("while work was being recorded", Assert.Throws<InvalidOperationException>(() => backend.Capture(action)).Message, StringComparison.Ordinal);
            Assert.Equal(0, backend.Recording);
        }

        AssertFills(backend);
    }

    [Fact]
    public void A_kernel_that_fails_is_named_by_every_later_call()
    {
        CudaBackend backend = Open("fail=fault:2");
        DeviceBuffer buffer = backend.Allocate(8);
        Tensor y = new(buffer, 0, ElementType.F32, [2]);
        backend.Fill(y, 1);
        DvpException first = Assert.Throws<DvpException>(() =>
        {
            backend.Fill(y, 2);
            backend.Synchronize();
        });
        Assert.Contains("elementwise_fill", first.Message, StringComparison.Ordinal);
        Assert.Contains("DVP_LAUNCH_BLOCKING=1", first.Message, StringComparison.Ordinal);
        Assert.Equal(DvpExitCode.NoDevice, first.ExitCode);
        Assert.Equal(first.Message, Assert.Throws<DvpException>(() => backend.Download(new float[2], y)).Message);
        Assert.Equal(first.Message, Assert.Throws<DvpException>(() => backend.Upload(y, [1f, 2])).Message);
        buffer.Dispose();
        backend.Dispose(); // neither throws
    }

    [Fact]
    public void With_blocking_launches_the_kernel_itself_is_named_and_nothing_is_recorded()
    {
        string host = Host("fail=fault:4");
        using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, Options(host) with { LaunchBlocking = true });
        using DeviceBuffer buffer = backend.Allocate(8);
        Tensor x = new(buffer, 0, ElementType.F32, [1]), y = new(buffer, 4, ElementType.F32, [1]);
        using RecordedWork work = backend.Record(() =>
        {
            backend.Fill(x, 1);
            backend.Add(y, x);
        });
        work.Run();
        DvpException e = Assert.Throws<DvpException>(work.Run);
        Assert.Contains("elementwise_add (cu", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("DVP_LAUNCH_BLOCKING", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, backend.Counters.GraphLaunches);
    }

    [Fact]
    public void Full_memory_says_how_much_is_left_and_what_to_do()
    {
        using CudaBackend backend = Open("fail=alloc:2");
        using DeviceBuffer buffer = backend.Allocate(8);
        DvpException e = Assert.Throws<DvpException>(() => backend.Allocate(3 << 20));
        Assert.Contains("has no 3 MiB left", e.Message, StringComparison.Ordinal);
        Assert.Contains("batch smaller", e.Message, StringComparison.Ordinal);
        Assert.Equal(8, backend.Counters.BytesAllocated);
        AssertFills(backend); // it goes on
    }

    [Theory]
    [InlineData("compile")]
    [InlineData("load")]
    [InlineData("graph")]
    [InlineData("copy")]
    [InlineData("launch")]
    [InlineData("sync")]
    public void Any_call_that_fails_ends_in_one_error_and_leaks_nothing(string kind)
    {
        string host = Host($"fail={kind}:1");
        long free = Free(host);
        DvpException e = Assert.Throws<DvpException>(() =>
        {
            using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, Options(host) with { CacheFolder = null });
            using DeviceBuffer buffer = backend.Allocate(1 << 20);
            Tensor x = new(buffer, 0, ElementType.F32, [4]), y = new(buffer, 16, ElementType.F32, [4]);
            backend.Upload(x, [1f, 2, 3, 4]);
            using RecordedWork work = backend.Record(() => backend.Add(y, x));
            work.Run();
            work.Run();
            backend.Download(new float[4], y);
        });
        Assert.StartsWith("CUDA: ", e.Message, StringComparison.Ordinal);
        Assert.Equal(free, Free(host));
    }

    private static long Free(string host)
    {
        using CudaContext context = CudaDriver.Open(host).OpenDevice(0);
        return context.Memory.Free;
    }
}
