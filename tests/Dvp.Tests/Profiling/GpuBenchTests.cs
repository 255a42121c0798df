using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Models.Bert;
using Dvp.Profiling;
using Dvp.Tests.Cli;
using Dvp.Tests.Cuda;
using Dvp.Tests.IO;
using Dvp.Tests.Training;
using Xunit;

namespace Dvp.Tests.Profiling;

/// <summary>Whole models timed on a GPU. The kernel host has no clock, so a clock of this test's own stands in for the device's.</summary>
[Requires(Capability.KernelHost)]
public sealed class GpuBenchTests
{
    private static readonly TinyBert s_bert = new() { Channels = 16, Heads = 2, Intermediate = 32, Layers = 2, Positions = 32 };

    [Fact]
    public void Models_are_timed_as_recorded_work_and_as_a_user_waits_for_them()
    {
        using TemporaryFolder folder = new();
        using CudaBackend gpu = CudaUnderTest.Open(ElementType.F32, mode: "");
        StandInClock clock = new(gpu);
        BenchReport report = Bench.Run(Options(s_bert.Config(s_bert.Write(folder["model"]))), gpu, clock);
        string[] passes = ["DVP forward from cached features, batch 1", "DVP forward from cached features, batch 3", "DVP training step, batch 2"];
        Assert.Equal(passes.SelectMany(n => (string[])[n, $"{n}, with copies"]), report.Rows.Select(r => r.Name));
        Assert.Equal(["forward", "forward", "forward", "forward", "training", "training"], report.Rows.Select(r => r.Section));
        Assert.All(report.Rows, r =>
        {
            Assert.InRange(r.Median, r.Best, r.P95);
            Assert.Equal(r.Gigaflops!.Value, 1e3 * r.PeakShare!.Value, 9);
        });
        Assert.All(report.Rows.Where(r => !r.Name.EndsWith("copies", StringComparison.Ordinal)), r => Assert.Equal(StandInClock.Told, r.Median));
        Assert.Empty(report.Passes);
        Assert.Equal(3, clock.Recorded);
        Assert.Equal((0, 0), clock.CopiesWhileTimed);
        Assert.Equal((0, 1000.0), Assert.Single(report.Peaks));
        Assert.True(report.Work.GraphLaunches > 3 * 5, "the timed work is recorded work");
    }

    [Fact]
    public void Without_a_clock_nothing_is_timed_and_the_command_says_why()
    {
        ToolRun run = CommandProcess.Run(
            CommandProcess.OnKernelHost(), "bench", "--only", "models", "--device", "cuda", "--model", TinyRun.LanguageModel, "--vision-model", TinyRun.VisionModel);
        Assert.Equal(3, run.Code);
        Assert.Equal("", run.Out);
        string line = Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.StartsWith("dvp: cuda:0 (kernel host", line);
        Assert.Contains("no clock", line);
        Assert.EndsWith("measure on a GPU.", line);
    }

    [Fact]
    public void Products_alone_are_refused_with_the_command_that_has_them()
    {
        ToolRun run = CommandProcess.Run(CommandProcess.OnKernelHost(), "bench", "--only", "products", "--device", "cuda");
        Assert.Equal(2, run.Code);
        Assert.Contains("--only ops", run.Error);
    }

    private static BenchOptions Options(BertConfig bert) => new()
    {
        Bert = bert,
        Dvp = TinyDvp.Config(s_bert, 1, adapters: true),
        VisualTokens = TinyDvp.VisualTokens,
        Layer = 1,
        TextTokens = 5,
        Batches = [1, 3],
        TrainingBatch = 2,
        Seconds = 1e-6,
    };

    /// <summary>Runs the work, and tells always the same time.</summary>
    private sealed class StandInClock(CudaBackend gpu) : OpClock(gpu)
    {
        public const double Told = 0.25;

        public int Recorded { get; private set; }

        public (long Up, long Down) CopiesWhileTimed { get; private set; }

        public override long CacheBytes => 1 << 20;

        public override double Margin => 1.1;

        public override IOpTimer Record(Action work)
        {
            Recorded++;
            return new Timer(this, Backend.Record(work));
        }

        public override double MultiplyRate() => 1e12;

        private sealed class Timer : IOpTimer
        {
            private readonly StandInClock _clock;
            private readonly RecordedWork _work;

            public Timer(StandInClock clock, RecordedWork work)
            {
                (_clock, _work) = (clock, work);
                work.Run(); // makes tables
            }

            public double Seconds()
            {
                DeviceCounters counters = _clock.Backend.Counters;
                (long up, long down) = (counters.Uploads, counters.Downloads);
                _work.Run();
                _clock.Backend.Synchronize();
                (long Up, long Down) sum = _clock.CopiesWhileTimed;
                _clock.CopiesWhileTimed = (sum.Up + counters.Uploads - up, sum.Down + counters.Downloads - down);
                return Told;
            }

            public void Dispose() => _work.Dispose();
        }
    }
}
