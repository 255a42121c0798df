using System.Diagnostics;
using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Devices.Cuda;
using Dvp.Models.Bert;
using Dvp.Prompting;

namespace Dvp.Profiling;

/// <summary>What a benchmark runs.</summary>
public sealed record BenchOptions
{
    /// <summary>CPU threads; 0 for all that the process may use.</summary>
    public int Threads { get; init; }

    /// <summary>Whether to measure matrix products.</summary>
    public bool Products { get; init; } = true;

    /// <summary>Whether to measure whole models, and their operators one by one.</summary>
    public bool Models { get; init; } = true;

    /// <summary>Sizes of the language model; its weights are random, which takes as long.</summary>
    public BertConfig Bert { get; init; } = FlopsComparison.BertBase;

    /// <summary>Sizes of the DVP; null for the paper's with CLIP ViT-B/16.</summary>
    public DvpConfig? Dvp { get; init; }

    /// <summary>N, visual tokens of a picture.</summary>
    public int VisualTokens { get; init; } = FlopsComparison.ClipBase.Tokens;

    /// <summary>K</summary>
    public int Layer { get; init; }

    /// <summary>T, tokens of a question.</summary>
    public int TextTokens { get; init; } = 16;

    /// <summary>Batches of the forward pass.</summary>
    public IReadOnlyList<int> Batches { get; init; } = [1, 16];

    /// <summary>Batch of the training step.</summary>
    public int TrainingBatch { get; init; } = 16;

    /// <summary>Seconds that each row is measured for.</summary>
    public double Seconds { get; init; } = 0.5;

    /// <summary>Called with the name of each row before it is measured.</summary>
    public Action<string>? OnRow { get; init; }
}

/// <summary>One measured row.</summary>
/// <param name="Section">product, forward or training.</param>
/// <param name="Name">What ran; on a GPU "with copies" behind it where the host's work and its copies are part of the time.</param>
/// <param name="Median">Seconds, the median over the runs.</param>
/// <param name="P95">Seconds, the 95 % quantile.</param>
/// <param name="Best">Seconds, the shortest: what the machine can do where others use it too.</param>
/// <param name="Runs">Number of runs.</param>
/// <param name="Gigaflops">Rate by the median; null where products are not what it does.</param>
/// <param name="PeakShare">That rate over the machine's measured multiply-add peak at as many threads.</param>
public sealed record BenchRow(
    string Section, string Name, double Median, double P95, double Best, int Runs, double? Gigaflops, double? PeakShare);

/// <summary>The operators of one pass.</summary>
/// <param name="Name">The pass.</param>
/// <param name="Operators">Their times for one pass, the longest first.</param>
/// <param name="OutsideProducts">Share of the pass's operators' time that is spent outside products with weights, in [0, 1].</param>
public sealed record BenchPass(string Name, IReadOnlyList<OperatorTime> Operators, double OutsideProducts);

/// <summary>What a benchmark measured.</summary>
/// <param name="Device">The device.</param>
/// <param name="Work">What it did.</param>
/// <param name="Native">Whether this program was compiled ahead of time.</param>
/// <param name="Peaks">Threads (0 for a GPU) and GFLOP/s of a multiply-add loop on registers, the roof of all products.</param>
/// <param name="Rows">The rows.</param>
/// <param name="Passes">Operators of whole models, on the CPU; on a GPU they are measured one by one, see <see cref="OperatorBench"/>.</param>
public sealed record BenchReport(
    string Device,
    DeviceCounters Work,
    bool Native,
    IReadOnlyList<(int Threads, double Gigaflops)> Peaks,
    IReadOnlyList<BenchRow> Rows,
    IReadOnlyList<BenchPass> Passes);

/// <summary>Measures a device: on the CPU products against its multiply-add peak, whole models, their operators; on a GPU whole models.</summary>
public sealed partial class Bench
{
    private const int LeastRuns = 5;
    private const int MostRuns = 2000;
    private const int OnGpu = 0; // threads, where a GPU does the work
    private readonly BenchOptions _options;
    private readonly List<(BenchRow Row, int Threads)> _rows = []; // the share of the peak follows when all peaks are known
    private readonly List<BenchPass> _passes = [];
    private readonly SortedDictionary<int, double> _peaks = [];
    private readonly OpClock? _gpu; // the clock of a GPU

    private Bench(BenchOptions options, OpClock? gpu) => (_options, _gpu) = (options, gpu);

    /// <summary>Measures the processor.</summary>
    /// <exception cref="DvpException">A size is out of range.</exception>
    public static BenchReport Run(BenchOptions options)
    {
        Bench bench = new(options, gpu: null);
        int threads = options.Threads == 0 ? Environment.ProcessorCount : options.Threads;
        foreach (int count in new[] { 1, threads }.Distinct())
        {
            bench.MeasurePeak(count);
        }

        using CpuBackend backend = new(threads);
        if (options.Products)
        {
            if (threads > 1)
            {
                using CpuBackend one = new(1);
                bench.MeasureProducts(one, 1);
            }

            bench.MeasureProducts(backend, threads);
        }

        if (options.Models)
        {
            bench.MeasureModels(backend, threads);
        }

        return bench.Report(backend);
    }

    /// <summary>
    /// Measures whole models on a GPU: the recorded pass or step by events of the device, and the same with the host's work and its copies by the
    /// system's clock. Products are among the operators of <see cref="OperatorBench"/>.
    /// </summary>
    /// <exception cref="DvpException">A size is out of range, no models are asked for, or the device has no clock.</exception>
    public static BenchReport Run(BenchOptions options, CudaBackend gpu)
    {
        using CudaOpClock clock = new(gpu);
        return Run(options, gpu, clock);
    }

    /// <summary>The same with the clock given.</summary>
    internal static BenchReport Run(BenchOptions options, CudaBackend gpu, OpClock clock)
    {
        if (!options.Models)
        {
            throw new DvpException("Products on a GPU are among its operators: dvp bench --only ops, with --filter linear for them alone.");
        }

        Bench bench = new(options, clock);
        bench.MeasurePeak(OnGpu);
        bench.MeasureModels(gpu, OnGpu);
        return bench.Report(gpu);
    }

    private BenchReport Report(Backend backend) => new(
        backend.Name,
        backend.Counters,
        !System.Runtime.CompilerServices.RuntimeFeature.IsDynamicCodeCompiled,
        [.. _peaks.Select(p => (p.Key, p.Value))],
        [.. _rows.Select(r => r.Row with { PeakShare = r.Row.Gigaflops / _peaks[r.Threads] })],
        _passes);

    /// <summary>
    /// The peak is measured again between groups of rows and the best one counts: another process may have had the processor.
    /// </summary>
    private void MeasurePeak(int threads) =>
        _peaks[threads] = Math.Max(_peaks.GetValueOrDefault(threads), _gpu is { } clock ? clock.MultiplyRate() / 1e9 : FmaPeak.Measure(threads));

    /// <summary>Runs something until its time is over, and notes median and 95 % quantile by the system's clock.</summary>
    private void Measure(string section, string name, int threads, double? flops, Action run) => Measure(section, name, threads, flops, () =>
    {
        long before = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(before).TotalSeconds;
    });

    /// <summary>The same with the seconds of one run by any clock.</summary>
    private void Measure(string section, string name, int threads, double? flops, Func<double> run)
    {
        _options.OnRow?.Invoke(name);
        long warm = Stopwatch.GetTimestamp();
        for (int i = 0; i < LeastRuns || Stopwatch.GetElapsedTime(warm).TotalSeconds < _options.Seconds / 2; i++)
        {
            run(); // caches, packed weights, and the compiler's later tiers
        }

        List<double> seconds = [];
        long start = Stopwatch.GetTimestamp();
        while (seconds.Count < LeastRuns || (seconds.Count < MostRuns && Stopwatch.GetElapsedTime(start).TotalSeconds < _options.Seconds))
        {
            seconds.Add(run());
        }

        seconds.Sort();
        double median = seconds[seconds.Count / 2];
        double p95 = seconds[(int)(0.95 * (seconds.Count - 1))];
        _rows.Add((new BenchRow(section, name, median, p95, seconds[0], seconds.Count, flops / median / 1e9, null), threads));
    }

    /// <summary>A pass of a model: on a GPU its recorded work by the device's clock, and then the whole of it as a user waits for it.</summary>
    private void Measure(string section, string name, int threads, double flops, Func<RecordedWork> prepare, Action whole)
    {
        if (_gpu is { } clock)
        {
            using IOpTimer timer = clock.Record(prepare().Run);
            Measure(section, name, threads, flops, timer.Seconds);
        }

        Measure(section, _gpu is null ? name : $"{name}, with copies", threads, flops, whole);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
