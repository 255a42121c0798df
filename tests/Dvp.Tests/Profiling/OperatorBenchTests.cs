using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Profiling;
using Dvp.Tests.Cli;
using Dvp.Tests.Cuda;
using Xunit;

namespace Dvp.Tests.Profiling;

public sealed class OperatorBenchTests
{
    private static readonly OpSizes s_small = new()
    {
        Channels = 32,
        Heads = 2,
        FeedForward = 64,
        Adapter = 8,
        TextTokens = 4,
        VisualTokens = 9,
        VisualChannels = 64,
        Answers = 17,
        Vocabulary = 100,
        EncoderBatch = 2,
    };

    [Fact]
    public void Every_operator_runs_and_is_judged_by_the_roofline()
    {
        using CpuBackend backend = new(1);
        OpReport report = Run(backend, new FixedClock(backend, seconds: 1, multiply: 1e9), [.. OpCases.All(s_small, [3], 4)]);
        Assert.Equal(48, report.Rows.Count);
        Assert.All(report.Rows, r => Assert.Null(r.Refused));
        OpRow linear = report.Rows[0];
        Assert.Equal("linear_forward rows=15 inputs=32 outputs=96", linear.Case.Name);
        Assert.Equal(2 * 15 * 32 * 96, linear.Case.Flops);
        Assert.Equal(4 * ((15 * 32) + (32 * 96) + (15 * 96)), linear.Case.Bytes);
        Assert.Equal(1.0 / linear.Sets, linear.Median, 12);
        Assert.Equal(2.0 * (64 << 20), report.CopyBytesPerSecond);
        Assert.Equal(linear.Case.Bytes / report.CopyBytesPerSecond, linear.Floor, 12); // by that clock it is memory that bounds
        Assert.Equal(0.001, OperatorFloor(report, flops: 1e6), 12);
        Assert.Equal(linear.Floor / linear.Median, linear.RooflineShare, 12);
        Assert.Equal(64, linear.Sets); // operands of 20 KB, rotated beyond the cache as far as is useful
    }

    [Fact]
    public void A_rate_above_the_roofline_is_refused_and_has_no_time()
    {
        using CpuBackend backend = new(1);
        OpReport report = Run(backend, new FixedClock(backend, seconds: 1e-9, multiply: 1e9), [.. OpCases.All(s_small, [3], 4).Take(1)]);
        OpRow row = Assert.Single(report.Rows);
        Assert.Contains("times the measured roofline", row.Refused);
        Assert.Equal(0, row.Median);
    }

    [Fact]
    public void Managed_memory_in_the_timed_loop_is_refused()
    {
        using CpuBackend backend = new(1);
        OpCase littering = OpCases.All(s_small, [3], 4).First() with { Prepare = _ => () => GC.KeepAlive(new byte[1000]) };
        OpRow row = Assert.Single(Run(backend, new FixedClock(backend, 1, 1e9), [littering]).Rows);
        Assert.Contains("managed bytes", row.Refused);
    }

    [Fact]
    public void A_row_during_which_the_clock_moved_is_measured_again_and_marked()
    {
        using CpuBackend backend = new(1);
        FixedClock clock = new(backend, 1, 1e9) { Slowdown = 0.9 };
        int asked = 0;
        OperatorBenchOptions options = new() { Seconds = 1e-6, OnRow = _ => asked++ };
        OpReport report = OperatorBench.Run(backend, clock, options, [.. OpCases.All(s_small, [3], 4).Take(1)]);
        Assert.InRange(Assert.Single(report.Rows).Drift, 0.099, 0.101);
        Assert.Equal(5, clock.Asked); // once for the roofline, and before and after either try
        Assert.Equal(1e9, report.FlopsPerSecond);
        Assert.Equal(2, asked);
    }

    [Fact]
    public void The_list_has_all_operators_and_needs_no_device()
    {
        ToolRun run = Tool.Run("bench", "--only", "ops", "--list", "--json");
        Assert.Equal(0, run.Code);
        JsonElement[] ops = [.. run.Json.GetProperty("ops").EnumerateArray()];
        Assert.Equal(86, ops.Length);
        JsonElement first = ops[0];
        Assert.Equal("linear_forward", first.GetProperty("op").GetString());
        Assert.Equal(64 * 17, first.GetProperty("sizes").GetProperty("rows").GetInt32());
        Assert.Equal(2.0 * 64 * 17 * 768 * 2304, first.GetProperty("flops").GetDouble());
    }

    [Fact]
    public void The_tool_measures_operators_on_the_processor()
    {
        ToolRun run = Tool.Run(
            "bench", "--only", "ops", "--filter", "layernorm_forward", "--batch", "2", "--seconds", "0.01", "--device", "cpu", "--threads", "1", "--json");
        Assert.True(run.Code == 0, run.Error);
        Assert.All(run.Json.GetProperty("ops").EnumerateArray(), row =>
        {
            Assert.Equal(JsonValueKind.Null, row.GetProperty("refused").ValueKind);
            Assert.True(row.GetProperty("median_seconds").GetDouble() > 0);
        });
    }

    [Fact]
    [Requires(Capability.KernelHost)]
    public void Products_are_measured_beside_cublaslt_where_it_is_found()
    {
        using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, new CudaOptions { Driver = KernelHost.Folder, Nvrtc = KernelHost.Folder });
        OpCase[] cases = [.. OpCases.All(s_small, [3], 4).Where(c => c.Op is "linear_gelu_forward" or "copy")];
        OpReport report = OperatorBench.Run(
            backend, new FixedClock(backend, 1, 1e9), new OperatorBenchOptions { Seconds = 1e-6, CublasLt = KernelHost.Folder }, cases);
        Assert.Equal(["linear_gelu_forward", "copy"], report.Rows.Select(r => r.Case.Op));
        Assert.Equal(1.0 / report.Rows[0].Sets, report.Rows[0].CublasLt!.Value, 12);
        Assert.Null(report.Rows[1].CublasLt);
        DvpException missing = Assert.Throws<DvpException>(() => CublasLtPeer.Find(backend, "/nowhere"));
        Assert.Contains("cuBLASLt cannot be loaded", missing.Message);
    }

    private static double OperatorFloor(OpReport report, double flops) => flops / report.FlopsPerSecond;

    private static OpReport Run(CpuBackend backend, OpClock clock, IReadOnlyList<OpCase> cases) =>
        OperatorBench.Run(backend, clock, new OperatorBenchOptions { Seconds = 1e-6 }, cases);

    /// <summary>Runs the work and says what it is told to say.</summary>
    private sealed class FixedClock(Backend backend, double seconds, double multiply) : OpClock(backend)
    {
        public int Asked { get; private set; }

        public double Slowdown { get; init; } = 1;

        public override long CacheBytes => 1 << 20;

        public override double Margin => 1.1;

        public override IOpTimer Record(Action work) => new Timer(work, seconds);

        public override double MultiplyRate() => Asked++ % 2 == 0 ? multiply * Slowdown : multiply;

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
