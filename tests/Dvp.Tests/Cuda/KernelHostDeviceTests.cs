using System.Text.Json;
using Dvp.Cuda;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>The kernel host as a device: graphs, events, what it refuses, what fails on demand, and what it counts.</summary>
[Requires(Capability.KernelHost)]
public sealed class KernelHostDeviceTests
{
    private const string AddOne = """
        extern "C" __global__ void __launch_bounds__(256) add_one(float* x, int n)
        {
            extern __shared__ float unused[];
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) x[i] += 1;
        }
        """;

    [Theory]
    [InlineData("")]
    [InlineData("late")]
    public void A_graph_replays_launches_fills_and_copies_in_order(string mode)
    {
        using KernelHostBench bench = new(mode, "graphs");
        CudaFunction kernel = bench.Compile(AddOne, "add_one");
        DeviceMemory x = bench.Upload(new float[8]), y = bench.Upload(new float[8]);
        PinnedMemory source = bench.Own(bench.Context.AllocatePinned(16));
        CudaGraph graph = bench.Own(bench.Stream.Capture(() =>
        {
            bench.Stream.Launch(kernel, 1, 32, 0, x, 8);
            bench.Stream.CopyOnDevice(y.Address, x.Address, 16);
            bench.Stream.CopyToDevice(y.Address + 16, source.Address, 16);
        }));
        Assert.Equal(new float[8], bench.Download(x));
        for (int replay = 1; replay <= 3; replay++)
        {
            BitConverter.TryWriteBytes(source.Span(0, 4), replay * 10f);
            graph.Launch(bench.Stream);
            bench.Stream.Synchronize();
            Assert.Equal(Enumerable.Repeat((float)replay, 8), bench.Download(x));
            Assert.Equal([replay, replay, replay, replay, replay * 10f], bench.Download(y)[..5]);
        }
    }

    [Fact]
    public void A_capture_refuses_to_wait_and_to_allocate()
    {
        using KernelHostBench bench = new("", "capture");
        CudaException error = Assert.Throws<CudaException>(() => bench.Stream.Capture(bench.Stream.Synchronize));
        Assert.Equal("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", error.ErrorName);
        error = Assert.Throws<CudaException>(() => bench.Stream.Capture(() => bench.Allocate(1)));
        Assert.Equal("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", error.ErrorName);
        bench.Stream.Synchronize();
    }

    [Fact]
    public void A_launch_that_no_device_would_take_is_refused()
    {
        using KernelHostBench bench = new("", "limits");
        CudaFunction kernel = bench.Compile(AddOne, "add_one");
        DeviceMemory x = bench.Upload(new float[4]);
        Assert.Equal(256, kernel.MaxThreads);
        Assert.Equal("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", Refused(() => bench.Stream.Launch(kernel, 1, 257, 0, x, 4)));
        Assert.Equal("CUDA_ERROR_INVALID_VALUE", Refused(() => bench.Stream.Launch(kernel, 1, 1025, 0, x, 4)));
        Assert.Equal("CUDA_ERROR_INVALID_VALUE", Refused(() => bench.Stream.Launch(kernel, (1, 65536), 32, 0, x, 4)));
        Assert.Equal("CUDA_ERROR_INVALID_VALUE", Refused(() => bench.Stream.Launch(kernel, 1, 32, (48 << 10) + 1, x, 4)));
        Assert.Equal(163 << 10, kernel.AllowAllSharedMemory());
        bench.Stream.Launch(kernel, 1, 32, 163 << 10, x, 4);
        Assert.Equal("CUDA_ERROR_INVALID_VALUE", Refused(() => bench.Stream.Launch(kernel, 1, 32, (163 << 10) + 1, x, 4)));
        Assert.Equal("CUDA_ERROR_OUT_OF_MEMORY", Refused(() => bench.Context.Allocate(1L << 40)));
        Assert.Equal("CUDA_ERROR_INVALID_VALUE", Refused(() => bench.Stream.CopyOnDevice(x.Address, x.Address + 8, 16)));
        Assert.Equal("CUDA_ERROR_INVALID_IMAGE", Refused(() => bench.Context.LoadModule(new byte[64])));
        Assert.Equal([1f, 1, 1, 1], bench.Download(x));
    }

    [Theory]
    [InlineData("alloc:2", "CUDA_ERROR_OUT_OF_MEMORY")]
    [InlineData("launch:2", "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES")]
    [InlineData("fault:2", "CUDA_ERROR_LAUNCH_FAILED")]
    [InlineData("copy:2", "CUDA_ERROR_ECC_UNCORRECTABLE")]
    [InlineData("compile:2", "NVRTC_ERROR_INTERNAL_ERROR")]
    [InlineData("load:2", "CUDA_ERROR_NO_BINARY_FOR_GPU")]
    [InlineData("graph:2", "CUDA_ERROR_OUT_OF_MEMORY")]
    [InlineData("sync:2", "CUDA_ERROR_LAUNCH_FAILED")]
    public void The_call_that_the_mode_names_fails_and_the_one_before_does_not(string failure, string expected)
    {
        using KernelHostBench bench = new("fail=" + failure, "once");
        Assert.Equal(expected, Refused(() =>
        {
            for (int round = 1; round <= 2; round++)
            {
                CudaFunction kernel = bench.Compile(AddOne, "add_one");
                DeviceMemory x = bench.Allocate(8);
                float[] values = new float[8];
                bench.Stream.CopyOnDevice(x.Address, x.Address, 32);
                bench.Stream.Launch(kernel, 1, 32, 0, x, 8);
                bench.Own(bench.Stream.Capture(() => bench.Stream.Fill(x.Address, 0, 32))).Launch(bench.Stream);
                bench.Stream.Synchronize();
            }
        }));
    }

    [Fact]
    public void Nothing_outlives_its_owner_and_everything_is_counted()
    {
        using (KernelHostBench bench = new("", "counts"))
        {
            CudaFunction kernel = bench.Compile(AddOne, "add_one");
            DeviceMemory x = bench.Upload(new float[8]);
            bench.Stream.Launch(kernel, 1, 32, 0, x, 8);
            bench.Stream.Synchronize();
            using JsonDocument busy = JsonDocument.Parse(bench.Counters);
            Assert.Equal(1, busy.RootElement.GetProperty("launches").GetInt32());
            Assert.Equal(32, busy.RootElement.GetProperty("allocated_bytes").GetInt32());
            Assert.Equal(1, busy.RootElement.GetProperty("live").GetProperty("modules").GetInt32());
        }

        using KernelHostBench second = new("", "counts");
        using JsonDocument idle = JsonDocument.Parse(second.Counters);
        Assert.Equal(0, idle.RootElement.GetProperty("allocated_bytes").GetInt32());
        Assert.Equal(32, idle.RootElement.GetProperty("peak_bytes").GetInt32());
        Assert.Equal(0, idle.RootElement.GetProperty("live").GetProperty("modules").GetInt32());
        Assert.Equal(1, idle.RootElement.GetProperty("live").GetProperty("streams").GetInt32());
    }

    [Fact]
    public void The_bytes_that_kernels_touch_are_counted_for_each_buffer()
    {
        const string text = """
            extern "C" __global__ void sum(float* y, const float* x, int n)
            {
                float s = 0;
                for (int i = threadIdx.x; i < n; i += 32) s += x[i];
                for (int k = 16; k > 0; k /= 2) s += __shfl_xor_sync(0xffffffffu, s, k);
                if (threadIdx.x == 0) *y = s;
            }
            """;
        using KernelHostBench bench = new("check", "traffic");
        DeviceMemory x = bench.Upload([.. Enumerable.Range(0, 257).Select(i => (float)i)]), y = bench.Allocate(1);
        bench.Stream.Launch(bench.Compile(text, "sum"), 1, 32, 0, y, x, 257);
        Assert.Equal([257 * 128f], bench.Download(y));
        Assert.Equal((257 * 4, 0), bench.Traffic(x));
        Assert.Equal((0, 4), bench.Traffic(y));
    }

    [Fact]
    public void An_error_in_a_text_and_an_unknown_option_are_the_compilers()
    {
        using KernelHostBench bench = new("", "errors");
        CudaException error = Assert.Throws<CudaException>(() => bench.Compile("\nextern \"C\" __global__ void f(float* y) { *y = unknown; }", "f"));
        Assert.Contains("seeded.cu:2", error.Message, StringComparison.Ordinal);
        error = Assert.Throws<CudaException>(() => bench.Compile(AddOne, "add_one", "--no-such-option"));
        Assert.Equal("NVRTC_ERROR_INVALID_OPTION", error.ErrorName);
    }

    private static string Refused(Action action) => Assert.Throws<CudaException>(action).ErrorName;
}
