using System.Runtime.CompilerServices;
using Dvp.Cuda;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>Memory in the order of a stream.</summary>
[Requires(Capability.KernelHost)]
public sealed class DeviceMemoryPoolTests
{
    private const string Double = """
        extern "C" __global__ void twice(float* y, const float* x, int n)
        {
            int i = threadIdx.x;
            if (i < n) y[i] = 2 * x[i];
        }
        """;

    [Theory]
    [InlineData("late")]
    [InlineData("check")]
    public void Memory_goes_back_behind_the_work_that_uses_it(string mode)
    {
        using KernelHostBench bench = new(mode, "pool");
        using DeviceMemoryPool pool = bench.Context.CreatePool(bench.Stream);
        CudaFunction twice = bench.Compile(Double, "twice");
        DeviceMemory x = bench.Upload(1, 2, 3), y = bench.Allocate(3), between = pool.Allocate(12);
        bench.Stream.Launch(twice, 1, 32, 0, between, x, 3);
        bench.Stream.Launch(twice, 1, 32, 0, y, between, 3);
        between.Dispose(); // late: neither launch has run
        between.Dispose();
        Assert.Throws<ObjectDisposedException>(() => between.Address);
        Assert.Equal([4f, 8, 12], bench.Download(y));
    }

    [Fact]
    public void Recorded_work_finds_a_block_where_it_was()
    {
        using KernelHostBench bench = new("", "pool");
        using DeviceMemoryPool pool = bench.Context.CreatePool(bench.Stream);
        CudaFunction twice = bench.Compile(Double, "twice");
        using DeviceMemory x = pool.Allocate(4), y = pool.Allocate(4);
        nint address = y.Address;
        using CudaGraph graph = bench.Stream.Capture(() =>
        {
            bench.Stream.Launch(twice, 1, 32, 0, y, x, 1);
            bench.Stream.Launch(twice, 1, 32, 0, x, y, 1);
        });
        bench.Stream.Upload<float>(x, [3]);
        for (int i = 0; i < 3; i++)
        {
            pool.Allocate(1 << 16).Dispose(); // memory comes and goes beside it
            graph.Launch(bench.Stream);
        }

        Assert.Equal(address, y.Address);
        Assert.Equal([3f * 64], bench.Download(x));
    }

    [Fact]
    public void What_is_given_out_is_counted_and_comes_back_whoever_lets_go_of_it()
    {
        using KernelHostBench bench = new("", "pool");
        long free = bench.Context.Memory.Free;
        DeviceMemoryPool pool = bench.Context.CreatePool(bench.Stream);
        long used = pool.UsedBytes;
        DeviceMemory block = pool.Allocate(1 << 20);
        Lose(pool, 1 << 19);
        Assert.Equal((1 << 20) + (1 << 19), pool.UsedBytes - used);
        Assert.True(pool.ReservedBytes >= pool.UsedBytes);
        GC.Collect();
        GC.WaitForPendingFinalizers(); // gives the lost block back
        Assert.Equal(1 << 20, pool.UsedBytes - used);
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pool.Allocate(1));
        block.Dispose(); // after its pool
        bench.Stream.Synchronize();
        Assert.Equal(free, bench.Context.Memory.Free);
    }

    [Fact]
    public void Blocks_the_stream_and_the_context_may_go_in_any_order()
    {
        string host = KernelHost.FolderFor("", "pool-order");
        CudaContext context = CudaDriver.Open(host).OpenDevice(0);
        long free = context.Memory.Free;
        CudaStream stream = context.CreateStream();
        DeviceMemoryPool pool = context.CreatePool(stream);
        DeviceMemory block = pool.Allocate(4096);
        context.Dispose();
        stream.Dispose();
        pool.Dispose();
        block.Dispose();
        using CudaContext again = CudaDriver.Open(host).OpenDevice(0);
        Assert.Equal(free, again.Memory.Free);
    }

    [Fact]
    public void Full_memory_is_an_error_and_the_pool_goes_on()
    {
        using KernelHostBench bench = new("fail=alloc:2", "pool");
        using DeviceMemoryPool pool = bench.Context.CreatePool(bench.Stream);
        using DeviceMemory first = pool.Allocate(64);
        CudaException e = Assert.Throws<CudaException>(() => pool.Allocate(64));
        Assert.Equal((2, "cuMemAllocFromPoolAsync"), (e.Code, e.Call));
        using DeviceMemory third = pool.Allocate(64);
        Assert.NotEqual(first.Address, third.Address);
        Assert.Null(bench.Context.FirstError);
        Assert.Throws<ArgumentOutOfRangeException>(() => pool.Allocate(0));
    }

    [Fact]
    public void A_store_behind_a_block_is_caught()
    {
        using KernelHostBench bench = new("check", "pool-behind");
        using DeviceMemoryPool pool = bench.Context.CreatePool(bench.Stream);
        CudaFunction twice = bench.Compile(Double, "twice");
        DeviceMemory x = bench.Upload(1, 2, 3, 4), y = pool.Allocate(12), next = pool.Allocate(12);
        Assert.Throws<CudaException>(() =>
        {
            bench.Stream.Launch(twice, 1, 32, 0, y, x, 4);
            bench.Stream.Synchronize();
        });
        Assert.Contains("out of bounds", bench.LastReport, StringComparison.Ordinal);
        next.Dispose();
        y.Dispose(); // no Dispose throws over the error
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Lose(DeviceMemoryPool pool, long bytes) => _ = pool.Allocate(bytes);
}
