using Dvp.Engine.Devices.Cpu;
using Xunit;

namespace Dvp.Tests.Ops.Cpu;

public sealed unsafe class CpuThreadPoolTests
{
    private struct Tally
    {
        public int* Counts;
        public int Throws;
        public nint Pool;
    }

    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 1)]
    [InlineData(2, 1000)]
    [InlineData(4, 3)]
    [InlineData(4, 257)]
    public void Every_chunk_runs_exactly_once(int threads, int chunks)
    {
        using var pool = new CpuThreadPool(threads);
        Assert.Equal(threads, pool.Threads);
        int* counts = stackalloc int[chunks];
        for (int round = 1; round <= 200; round++)
        {
            var tally = new Tally { Counts = counts };
            pool.Run(&Count, &tally, chunks);
            for (int i = 0; i < chunks; i++)
            {
                Assert.Equal(round, counts[i]);
            }
        }
    }

    [Fact]
    public void Parked_threads_wake_up()
    {
        using var pool = new CpuThreadPool(3);
        int* counts = stackalloc int[64];
        for (int round = 1; round <= 5; round++)
        {
            Thread.Sleep(20);
            var tally = new Tally { Counts = counts };
            pool.Run(&Count, &tally, 64);
            Assert.All(new ReadOnlySpan<int>(counts, 64).ToArray(), n => Assert.Equal(round, n));
        }
    }

    [Fact]
    public void Callers_are_serialised_and_each_gets_its_own_work()
    {
        using var pool = new CpuThreadPool(3);
        var threads = new Thread[4];
        int[] totals = new int[threads.Length];
        for (int t = 0; t < threads.Length; t++)
        {
            int caller = t;
            threads[t] = new Thread(() => totals[caller] = Total(pool));
            threads[t].Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.All(totals, total => Assert.Equal(300 * 17, total));
    }

    private static int Total(CpuThreadPool pool)
    {
        int* counts = stackalloc int[17];
        for (int round = 0; round < 300; round++)
        {
            var tally = new Tally { Counts = counts };
            pool.Run(&Count, &tally, 17);
        }

        int total = 0;
        for (int i = 0; i < 17; i++)
        {
            total += counts[i];
        }

        return total;
    }

    [Fact]
    public void An_exception_reaches_the_caller_and_the_pool_goes_on()
    {
        using var pool = new CpuThreadPool(2);
        int* counts = stackalloc int[50];
        Assert.Equal("chunk 7", Assert.Throws<InvalidOperationException>(() => RunThrowing(pool, (nint)counts)).Message);
        new Span<int>(counts, 50).Clear();
        var tally = new Tally { Counts = counts };
        pool.Run(&Count, &tally, 50);
        Assert.All(new ReadOnlySpan<int>(counts, 50).ToArray(), n => Assert.Equal(1, n));
    }

    private static void RunThrowing(CpuThreadPool pool, nint counts)
    {
        var tally = new Tally { Counts = (int*)counts, Throws = 7 };
        pool.Run(&Count, &tally, 50);
    }

    [Fact]
    public void A_nested_call_runs_inline()
    {
        using var pool = new CpuThreadPool(2);
        int* counts = stackalloc int[10];
        var handle = System.Runtime.InteropServices.GCHandle.Alloc(pool);
        try
        {
            var tally = new Tally { Counts = counts, Pool = System.Runtime.InteropServices.GCHandle.ToIntPtr(handle) };
            pool.Run(&Nested, &tally, 8);
        }
        finally
        {
            handle.Free();
        }

        Assert.All(new ReadOnlySpan<int>(counts, 10).ToArray(), n => Assert.Equal(8, n));
    }

    [Fact]
    public void The_number_of_threads_can_change_and_a_call_allocates_nothing()
    {
        using var pool = new CpuThreadPool(1);
        int* counts = stackalloc int[9];
        foreach (int threads in new[] { 2, 4, 1, 3 })
        {
            pool.Threads = threads;
            Assert.Equal(threads, pool.Threads);
            var tally = new Tally { Counts = counts };
            pool.Run(&Count, &tally, 9);
            pool.Run(&Count, &tally, 9);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 98; i++)
            {
                pool.Run(&Count, &tally, 9);
            }

            Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        }

        Assert.All(new ReadOnlySpan<int>(counts, 9).ToArray(), n => Assert.Equal(400, n));
    }

    [Fact]
    public void Arguments_are_checked()
    {
        using var pool = new CpuThreadPool(1);
        Assert.Throws<ArgumentOutOfRangeException>(() => new CpuThreadPool(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => pool.Threads = 0);
        Assert.Throws<ArgumentOutOfRangeException>(() => pool.Run(&Count, null, -1));
        pool.Run(&Count, null, 0);
    }

    private static void Count(void* context, int chunk)
    {
        var tally = (Tally*)context;
        if (tally->Throws != 0 && tally->Throws == chunk)
        {
            throw new InvalidOperationException($"chunk {chunk}");
        }

        Interlocked.Increment(ref tally->Counts[chunk]);
    }

    private static void Nested(void* context, int chunk)
    {
        var tally = (Tally*)context;
        var pool = (CpuThreadPool)System.Runtime.InteropServices.GCHandle.FromIntPtr(tally->Pool).Target!;
        pool.Run(&Count, context, 10);
    }
}
