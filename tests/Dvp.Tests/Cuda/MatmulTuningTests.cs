using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Profiling;
using Dvp.Tests.Cli;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>Tuned products: what is kept, for whom, and the tuner with a clock that the test sets.</summary>
public sealed class MatmulTuningTests : IDisposable
{
    private static readonly ProductShape s_shape = new(ProductForm.Forward, 1088, 768, 3072);
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "dvp-tuning-" + Guid.NewGuid().ToString("N"));

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    [Fact]
    public void A_way_is_found_again_by_the_same_gpu_and_type_alone()
    {
        MatmulTuning first = Load("H100", ElementType.BF16);
        ProductWay way = new(64, 64, 4);
        first.Set(s_shape, way);
        Assert.StartsWith(_folder, first.Save());
        Assert.Equal(way, Load("H100", ElementType.BF16).Find(s_shape));
        Assert.Null(Load("H100", ElementType.BF16).Find(s_shape with { Rows = 1087 }));
        Assert.Equal(0, Load("H100", ElementType.F16).Count);
        Assert.Equal(0, Load("A100", ElementType.BF16).Count);
        first.Set(s_shape, null);
        first.Save();
        Assert.Equal(0, Load("H100", ElementType.BF16).Count);
    }

    [Theory]
    [InlineData("nonsense\n")]
    [InlineData("Forward 1 2 3\n")]
    [InlineData("Sideways 1088 768 3072 64 64 4\n")]
    [InlineData("Forward 1088 768 3072 64 63 4\n")]
    [InlineData("Forward 1088 768 3072 64 64 4000\n")]
    public void A_damaged_file_is_left_aside_with_a_note(string text)
    {
        MatmulTuning tuning = Load("H100", ElementType.BF16);
        tuning.Set(s_shape, new ProductWay(64, 64, 4));
        File.AppendAllText(tuning.Save()!, text);
        List<string> notes = [];
        Assert.Equal(0, MatmulTuning.Load(_folder, "H100", "sm_90a", ElementType.BF16, notes.Add).Count);
        Assert.Contains("dvp kernels tune", Assert.Single(notes));
    }

    [Fact]
    public void Every_way_splits_the_sum_into_equal_whole_turns()
    {
        ProductWay[] ways = [.. MatmulPlan.Ways(ElementType.F16, s_shape)];
        Assert.Contains(new ProductWay(128, 128, 1), ways);
        Assert.Contains(new ProductWay(64, 64, 16), ways);
        Assert.Equal(ways.Length, ways.Distinct().Count());
        Assert.All(ways, w => Assert.Equal(w.Splits, MatmulPlan.Of(ElementType.F16, w.TileM, w.TileN, w.Splits, s_shape.Depth).Splits));
        Assert.All(MatmulPlan.Ways(ElementType.F16, s_shape with { Depth = 100 }), w => Assert.Equal(1, w.Splits)); // too short to split
    }

    [Fact]
    [Requires(Capability.KernelHost)]
    public void The_tuner_keeps_the_fastest_way_and_the_device_takes_it()
    {
        CudaOptions options = new() { Driver = KernelHost.Folder, Nvrtc = KernelHost.Folder, CacheFolder = _folder };
        OpCase[] cases = [.. OpCases.All(new OpSizes { Channels = 40, Heads = 2, FeedForward = 80, Adapter = 8, TextTokens = 4, Answers = 17, EncoderBatch = 1 }, [2], 4)
            .Where(c => c.Op is "linear_forward" && c.Sizes[2].Value == 120)];
        ProductShape shape = new(ProductForm.Forward, 10, 120, 40);
        using (CudaBackend backend = CudaBackend.Open(0, ElementType.F32, options))
        {
            // The plan takes the small tile for ten rows; this clock says that the large one is ten times as fast.
            WayClock clock = new(backend, way => way is { TileM: 128 } ? 0.1 : 1);
            TunedProduct tuned = Assert.Single(ProductTuner.Run(backend, clock, new OperatorBenchOptions { Seconds = 1e-6 }, cases));
            Assert.Equal(shape, tuned.Shape);
            Assert.Equal(new ProductWay(128, 128, 1), tuned.Way);
            Assert.Equal(10, tuned.Planned / tuned.Best, 6);
            Assert.Null(backend.Way);
        }

        using (CudaBackend later = CudaBackend.Open(0, ElementType.F32, options))
        {
            Assert.Equal(1, later.TunedProducts);

            // A gain of a hundredth is noise: the planned way is kept, and the former entry goes.
            WayClock clock = new(later, way => way is null ? 1 : 0.99);
            Assert.Null(Assert.Single(ProductTuner.Run(later, clock, new OperatorBenchOptions { Seconds = 1e-6 }, cases)).Way);
            Assert.Equal(0, later.TunedProducts);
        }
    }

    [Fact]
    [Requires(Capability.KernelHost)]
    public void A_tuned_product_is_made_in_its_way_and_is_the_same_product()
    {
        CudaOptions options = new() { Driver = KernelHost.Folder, Nvrtc = KernelHost.Folder };
        using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, options);
        using OpOperands operands = new(backend);
        Tensor x = operands.Activations(10, 256), y = operands.Activations(10, 24);
        (ParameterBlock weight, float[] planned, float[] tuned) = (operands.Parameter(false, 24, 256), new float[240], new float[240]);
        backend.LinearForward(y, null, x, weight, null, Activation.None, null);
        backend.Download(planned, y);
        backend.Tune(new ProductShape(ProductForm.Forward, 10, 24, 256), new ProductWay(128, 128, 2));
        backend.LinearForward(y, null, x, weight, null, Activation.None, null);
        backend.Download(tuned, y);
        Assert.Contains("matmul_reduce", backend.LaunchedEntries); // only a split sum is reduced
        Assert.All(planned.Zip(tuned), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
    }

    [Fact]
    [Requires(Capability.KernelHost)]
    public void The_command_is_refused_where_times_mean_nothing()
    {
        ToolRun run = Tool.Run("kernels", "tune", "--device", "cpu");
        Assert.Equal(3, run.Code);
        Assert.Contains("no GPU was found", run.Error);
    }

    private MatmulTuning Load(string device, ElementType real) => MatmulTuning.Load(_folder, device, "sm_90a", real, Assert.Fail);

    /// <summary>Runs the work, and takes for it what the way says.</summary>
    private sealed class WayClock(CudaBackend backend, Func<ProductWay?, double> seconds) : OpClock(backend)
    {
        public override long CacheBytes => 1;

        public override double Margin => 1.1;

        public override IOpTimer Record(Action work) => new Timer(work, seconds(backend.Way));

        public override double MultiplyRate() => 1e9;

        private sealed class Timer(Action work, double seconds) : IOpTimer
        {
            public double Seconds()
            {
                work();
                return seconds;
            }

            public void Dispose()
            {
            }
        }
    }
}
