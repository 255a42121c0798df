using Dvp.Cuda;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>Faults put into small kernels on purpose: each must be caught by the mode of the kernel host that claims it.</summary>
[Requires(Capability.KernelHost)]
public sealed class KernelHostFaultTests
{
    private const int N = 100;

    // Each thread gives its value to the thread opposite in the block.
    private const string Reverse = """
        extern "C" __global__ void reverse(float* y, const float* x)
        {
            __shared__ float tile[64];
            int i = threadIdx.x;
            tile[i] = 0;
            __syncthreads();
            tile[i] = x[blockIdx.x * 64 + i];
            BARRIER
            y[blockIdx.x * 64 + i] = tile[63 - i];
        }
        """;

    private const string Scale = """
        extern "C" __global__ void scale(float* y, const float* x, int n)
        {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (GUARD) y[AT] = 2 * x[i];
        }
        """;

    [Theory]
    [InlineData("")]
    [InlineData("check")]
    [InlineData("permute")]
    [InlineData("late")]
    [InlineData("check,permute,late")]
    public void A_clean_kernel_passes_in_every_mode(string mode)
    {
        using KernelHostBench bench = new(mode, "clean");
        CudaFunction reverse = bench.Compile(Reverse, "reverse", "-DBARRIER=__syncthreads();");
        CudaFunction scale = bench.Compile(Scale, "scale", "-DGUARD=i<n", "-DAT=i");
        float[] values = [.. Enumerable.Range(0, 192).Select(i => i * 0.5f - 7)];
        DeviceMemory x = bench.Upload(values), y = bench.Allocate(192), z = bench.Allocate(192);
        bench.Stream.Launch(reverse, 3, 64, 0, y, x);
        bench.Stream.Launch(scale, 2, 128, 0, z, y, 192);
        float[] expected = [.. Enumerable.Range(0, 192).Select(i => 2 * values[i / 64 * 64 + 63 - i % 64])];
        Assert.Equal(expected, bench.Download(z));
    }

    [Fact]
    public void A_missing_barrier_is_a_race()
    {
        string report = Caught("check", Reverse, "reverse", ["-DBARRIER="], 2, 64, b => [b.Allocate(128), b.Upload(new float[128])]);
        Assert.Contains("race", report, StringComparison.Ordinal);
        Assert.Contains("shared tile", report, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_barrier_changes_the_result_with_the_order_of_threads()
    {
        float[] values = [.. Enumerable.Range(0, 64).Select(i => (float)i)];
        using KernelHostBench bench = new("permute", "race");
        CudaFunction reverse = bench.Compile(Reverse, "reverse", "-DBARRIER=");
        DeviceMemory x = bench.Upload(values), y = bench.Allocate(64);
        bench.Stream.Launch(reverse, 1, 64, 0, y, x);
        Assert.NotEqual(values.Reverse(), bench.Download(y));
    }

    [Fact]
    public void A_missing_warp_barrier_is_a_race()
    {
        const string text = """
            extern "C" __global__ void neighbour(float* y, const float* x)
            {
                __shared__ float tile[32];
                tile[threadIdx.x] = 0;
                __syncwarp();
                tile[threadIdx.x] = x[threadIdx.x];
                BARRIER
                y[threadIdx.x] = tile[threadIdx.x ^ 1];
            }
            """;
        foreach (string instead in (string[])["", "__shfl_sync(0xffffffffu, 1, 0);"]) // a shuffle does not order memory
        {
            string report = Caught("check", text, "neighbour", [$"-DBARRIER={instead}"], 1, 32, b => [b.Allocate(32), b.Upload(new float[32])]);
            Assert.Contains("race", report, StringComparison.Ordinal);
        }

        using KernelHostBench bench = new("check", "warp barrier");
        DeviceMemory x = bench.Upload([.. Enumerable.Range(0, 32).Select(i => (float)i)]), y = bench.Allocate(32);
        bench.Stream.Launch(bench.Compile(text, "neighbour", "-DBARRIER=__syncwarp();"), 1, 32, 0, y, x);
        Assert.Equal(Enumerable.Range(0, 32).Select(i => (float)(i ^ 1)), bench.Download(y));
    }

    [Fact]
    public void A_store_off_by_one_is_out_of_bounds()
    {
        string report = Caught("check", Scale, "scale", ["-DGUARD=i<n", "-DAT=i+1"], 1, 128, b => [b.Allocate(N), b.Upload(new float[N]), N]);
        Assert.Contains("out of bounds: a thread writes 4 bytes at 0 bytes behind the end", report, StringComparison.Ordinal);
        Assert.Contains("seeded.cu:4 in scale, block (0,0,0), thread (99,0,0)", report, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tail_without_guard_is_out_of_bounds()
    {
        string report = Caught("check", Scale, "scale", ["-DGUARD=true", "-DAT=i"], 1, 128, b => [b.Allocate(N), b.Upload(new float[N]), N]);
        Assert.Contains("out of bounds: a thread reads", report, StringComparison.Ordinal);
        Assert.Contains("thread (100,0,0)", report, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("__shared__ float before[32], tile[32], after[32]; before[i] = after[i] = x[i];", "shared tile")]
    [InlineData("extern __shared__ float tile[];", "dynamic shared memory")]
    public void A_read_of_shared_memory_off_by_one_is_out_of_bounds(string declaration, string place)
    {
        string text = $$"""
            extern "C" __global__ void next(float* y, const float* x)
            {
                int i = threadIdx.x;
                {{declaration}}
                tile[i] = x[i];
                __syncthreads();
                y[i] = tile[i + 1];
            }
            """;
        string report = Caught("check", text, "next", [], 1, 32, b => [b.Allocate(32), b.Upload(new float[32])], sharedBytes: 128);
        Assert.Contains("out of bounds: a thread reads 4 bytes at 0 bytes behind the end of " + place, report, StringComparison.Ordinal);
        Assert.Contains("seeded.cu:7", report, StringComparison.Ordinal);
    }

    [Fact]
    public void A_read_of_memory_that_nobody_wrote_is_caught()
    {
        string report = Caught("check", Scale, "scale", ["-DGUARD=i<n", "-DAT=i"], 1, 128, b => [b.Allocate(N), b.Allocate(N), N]);
        Assert.Contains("not written: a thread reads 4 bytes at byte 0", report, StringComparison.Ordinal);
        report = Caught("check", Reverse, "reverse", ["-DBARRIER=__syncthreads(); if (i == 5)"], 1, 32, b => [b.Allocate(64), b.Upload(new float[64])]);
        Assert.Contains("not written: a thread reads 4 bytes at byte 232 of shared tile", report, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_blocks_that_write_one_cell_are_a_race()
    {
        string report = Caught("check", Scale, "scale", ["-DGUARD=i<n", "-DAT=threadIdx.x"], 2, 64, b => [b.Allocate(N), b.Upload(new float[N]), N]);
        Assert.Contains("race", report, StringComparison.Ordinal);
        Assert.Contains("which another block of the launch writes", report, StringComparison.Ordinal);
    }

    [Fact]
    public void A_vector_access_that_is_not_aligned_is_caught()
    {
        const string text = """
            extern "C" __global__ void pairs(float* y, const float* x) { *(float2*)(y + 2 * threadIdx.x) = *(const float2*)(x + 2 * threadIdx.x + 1); }
            """;
        Assert.Contains("misaligned: an access of 8 bytes",
            Caught("check", text, "pairs", [], 1, 4, b => [b.Allocate(8), b.Upload(new float[9])]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_barrier_that_some_threads_miss_is_reported_in_every_mode()
    {
        const string text = """
            extern "C" __global__ void half(float* y)
            {
                if (threadIdx.x < 32) __syncthreads();
                else __shfl_sync(0xffffffffu, 1.0f, threadIdx.x < 40 ? 0 : 1);
                if (threadIdx.x == 40) __syncthreads();
                y[threadIdx.x] = __shfl_sync(0xffffffffu, 1.0f, 0);
            }
            """;
        Assert.Contains("a barrier is not reached by all threads", Caught("", text, "half", [], 1, 64, b => [b.Allocate(64)]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_wild_access_ends_the_launch_and_not_the_process()
    {
        const string text = """
            extern "C" __global__ void wild(float* y) { y[1000000000000ll] = 1; }
            extern "C" __global__ void deep(float* y) { float a[1 << 15]; for (int i = 0; i < 1 << 15; i++) a[i] = y[i]; y[0] = a[(int)y[1]]; }
            extern "C" __global__ void ratio(int* y) { y[0] = y[0] / y[1]; }
            """;
        Assert.Contains("faults in wild, block (0,0,0), thread (0,0,0)", Caught("", text, "wild", [], 1, 1, b => [b.Allocate(1)]), StringComparison.Ordinal);
        Assert.Contains("the stack of a thread is used up", Caught("", text, "deep", [], 1, 1, b => [b.Allocate(1 << 16)]), StringComparison.Ordinal);
        Assert.Contains("divided by zero", Caught("", text, "ratio", [], 1, 1, b => [b.Upload(0, 0)]), StringComparison.Ordinal);
        string? nothing = Environment.GetEnvironmentVariable("DVP_NO_SUCH_VARIABLE");
        Assert.Throws<NullReferenceException>(() => nothing!.Length); // a fault of managed code is still managed code's
    }

    [Fact]
    public void A_missing_wait_between_streams_shows_stale_data()
    {
        foreach (bool waits in (bool[])[false, true])
        {
            using KernelHostBench bench = new("late", "streams");
            CudaFunction scale = bench.Compile(Scale, "scale", "-DGUARD=i<n", "-DAT=i");
            DeviceMemory x = bench.Upload([.. Enumerable.Repeat(1f, N)]), y = bench.Upload(new float[N]), z = bench.Upload(new float[N]);
            CudaStream second = bench.Own(bench.Context.CreateStream());
            CudaEvent ready = bench.Own(bench.Context.CreateEvent());
            bench.Stream.Launch(scale, 1, 128, 0, y, x, N);
            bench.Stream.Record(ready);
            if (waits)
            {
                second.WaitFor(ready);
            }

            second.Launch(scale, 1, 128, 0, z, y, N);
            second.Synchronize();
            Assert.Equal(waits ? 4f : 0f, bench.Download(z)[0]);
        }
    }

    [Fact]
    public void A_missing_synchronisation_of_the_host_shows_stale_data()
    {
        using KernelHostBench bench = new("late", "host");
        CudaFunction scale = bench.Compile(Scale, "scale", "-DGUARD=i<n", "-DAT=i");
        DeviceMemory x = bench.Upload([.. Enumerable.Repeat(1f, N)]), y = bench.Upload(new float[N]);
        PinnedMemory result = bench.Own(bench.Context.AllocatePinned(N * sizeof(float)));
        result.Span(0, N * sizeof(float)).Clear();
        bench.Stream.Launch(scale, 1, 128, 0, y, x, N);
        bench.Stream.CopyToHost(result.Address, y.Address, N * sizeof(float));
        Assert.Equal(0f, BitConverter.ToSingle(result.Span(0, 4)));
        bench.Stream.Synchronize();
        Assert.Equal(2f, BitConverter.ToSingle(result.Span(0, 4)));
    }

    private static string Caught(
        string mode, string text, string entry, string[] options, Extents grid, Extents block, Func<KernelHostBench, LaunchArgument[]> arguments,
        int sharedBytes = 0)
    {
        using KernelHostBench bench = new(mode, "faults");
        CudaFunction kernel = bench.Compile(text, entry, options);
        LaunchArgument[] given = arguments(bench);
        bench.Stream.Synchronize();
        bench.Stream.Launch(kernel, grid, block, sharedBytes, given);
        CudaException error = Assert.Throws<CudaException>(bench.Stream.Synchronize);
        Assert.Equal("CUDA_ERROR_ILLEGAL_ADDRESS", error.ErrorName);
        return bench.LastReport;
    }
}
