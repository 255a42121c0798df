using System.Diagnostics;
using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Devices.Cuda;

namespace Dvp.Profiling;

/// <summary>What a benchmark of operators runs.</summary>
public sealed record OperatorBenchOptions
{
    /// <summary>Batches of questions, each of 16 tokens and a prompt.</summary>
    public IReadOnlyList<int> Batches { get; init; } = [64, 256];

    /// <summary>CPU threads of a CPU device, whose roof depends on them; 0 for all that the process may use.</summary>
    public int Threads { get; init; }

    /// <summary>Seconds that each row is measured for.</summary>
    public double Seconds { get; init; } = 0.5;

    /// <summary>Only operators whose name contains this; null for all.</summary>
    public string? Filter { get; init; }

    /// <summary>File or folder of cuBLASLt, which is measured beside our products on a GPU; null for the usual places, and then it may be missing.</summary>
    public string? CublasLt { get; init; }

    /// <summary>Called with the name of each row before it is measured.</summary>
    public Action<string>? OnRow { get; init; }
}

/// <summary>
/// Measures operators one by one at the shapes of DVP-BERT-base: time on the device's own clock, operands rotated beyond its cache, against
/// the roofline that was measured in the same run.
/// </summary>
public static class OperatorBench
{
    private const int LeastRuns = 5;
    private const int MostRuns = 2000;
    private const int MostSets = 64;
    private const double MostDrift = 0.02;

    /// <summary>The operators and shapes, without measuring: what a peer needs to know.</summary>
    /// <param name="options">The batches.</param>
    /// <param name="element">Bytes of a stored element: they decide the bytes of each row.</param>
    public static IReadOnlyList<OpCase> List(OperatorBenchOptions options, int element) =>
        [.. OpCases.All(new OpSizes(), options.Batches, element).Where(c => options.Filter is null || c.Op.Contains(options.Filter, StringComparison.Ordinal))];

    /// <summary>Measures.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="options">What to run.</param>
    /// <exception cref="DvpException">The device has no clock to measure with, or cuBLASLt is not where <paramref name="options"/> say.</exception>
    public static OpReport Run(Backend backend, OperatorBenchOptions options)
    {
        using OpClock clock = Clock(backend, options);
        return Run(backend, clock, options, List(options, Engine.Tensors.ElementTypes.Size(backend.ActivationType)));
    }

    /// <summary>The same with clock and operators given.</summary>
    internal static OpReport Run(Backend backend, OpClock clock, OperatorBenchOptions options, IReadOnlyList<OpCase> cases)
    {
        using CublasLtPeer? peer = backend is CudaBackend gpu ? CublasLtPeer.Find(gpu, options.CublasLt) : null;
        options.OnRow?.Invoke("the roofline");
        double copy = clock.CopyRate(options.Seconds), multiply = clock.MultiplyRate();
        List<(OpRow Row, double Bytes)> rows = [];
        foreach (OpCase one in cases)
        {
            options.OnRow?.Invoke(one.Name);
            OpRow row = Measure(backend, clock, options, one, copy, ref multiply);
            if (row.Drift > MostDrift)
            {
                row = Measure(backend, clock, options, one, copy, ref multiply); // the clock moved: once more, and then it is said
            }

            rows.Add((peer is null ? row : row with { CublasLt = MeasurePeer(backend, clock, options, one, peer, row.Sets) }, one.Bytes));
        }

        return new OpReport(
            backend.Name, backend.ActivationType.ToString().ToLowerInvariant(), copy, multiply,
            [.. rows.Select(r => Judge(r.Row, copy, multiply, clock.Margin))]);
    }

    /// <summary>The clock of a device.</summary>
    /// <exception cref="DvpException">It has none.</exception>
    internal static OpClock Clock(Backend backend, OperatorBenchOptions options) => backend switch
    {
        CpuBackend cpu => new CpuOpClock(cpu, options.Threads == 0 ? Environment.ProcessorCount : options.Threads),
        CudaBackend { HasClock: true } gpu => new CudaOpClock(gpu),
        _ => throw new DvpException($"{backend.Name} has no clock to measure operators with; measure on another device.", exitCode: DvpExitCode.NoDevice),
    };

    private static OpRow Measure(Backend backend, OpClock clock, OperatorBenchOptions options, OpCase one, double copy, ref double multiply)
    {
        using OpOperands operands = new(backend);
        long before = backend.Counters.BytesAllocated;
        List<Action> calls = [one.Prepare(operands)];
        int sets = SetsBeyondCache(clock, backend.Counters.BytesAllocated - before);
        while (calls.Count < sets)
        {
            calls.Add(one.Prepare(operands));
        }

        using IOpTimer timer = Warm(clock, options, calls);
        double rateBefore = clock.MultiplyRate();
        List<double> seconds = new(MostRuns);
        (long downloads, long managed) = (backend.Counters.Downloads, GC.GetAllocatedBytesForCurrentThread());
        Time(timer, options, sets, seconds);
        managed = GC.GetAllocatedBytesForCurrentThread() - managed;
        double rateAfter = clock.MultiplyRate();
        multiply = Math.Max(multiply, Math.Max(rateBefore, rateAfter));
        seconds.Sort();
        string? refused = managed > 0 ? Text($"{managed} managed bytes were allocated in {seconds.Count} runs")
            : backend.Counters.Downloads > downloads ? "it copied results to the host while it was timed"
            : null;
        double floor = Math.Max(one.Bytes / copy, one.Flops / multiply);
        return new OpRow(
            one, seconds[seconds.Count / 2], seconds[(int)(0.95 * (seconds.Count - 1))], seconds.Count, sets, floor,
            Math.Abs(rateAfter - rateBefore) / Math.Max(rateBefore, rateAfter), refused);
    }

    // The bare product: bias and activation are extra work of ours.
    private static double? MeasurePeer(Backend backend, OpClock clock, OperatorBenchOptions options, OpCase one, CublasLtPeer peer, int sets)
    {
        if (!one.Op.StartsWith("linear_", StringComparison.Ordinal) || !one.Op.EndsWith("forward", StringComparison.Ordinal))
        {
            return null;
        }

        (int rows, int inputs, int outputs) = (one.Sizes[0].Value, one.Sizes[1].Value, one.Sizes[2].Value);
        using OpOperands operands = new(backend);
        List<Action> calls = [];
        while (calls.Count < sets)
        {
            calls.Add(peer.Product(operands.Activations(rows, outputs), operands.Activations(rows, inputs), operands.Activations(outputs, inputs)));
        }

        using IOpTimer timer = Warm(clock, options, calls);
        List<double> seconds = [];
        Time(timer, options, sets, seconds);
        seconds.Sort();
        return seconds[seconds.Count / 2];
    }

    /// <summary>Sets of operands of some bytes each that no cache holds together, as far as that is useful.</summary>
    internal static int SetsBeyondCache(OpClock clock, long bytes) =>
        (int)Math.Clamp(((2 * clock.CacheBytes) + Math.Max(1, bytes) - 1) / Math.Max(1, bytes), 1, MostSets);

    /// <summary>Takes over calls and runs them until the device is warm.</summary>
    internal static IOpTimer Warm(OpClock clock, OperatorBenchOptions options, List<Action> calls)
    {
        IOpTimer timer = clock.Record(() =>
        {
            foreach (Action call in calls)
            {
                call();
            }
        });
        for (long start = Stopwatch.GetTimestamp(), runs = 0; runs < 2 || Stopwatch.GetElapsedTime(start).TotalSeconds < options.Seconds / 2; runs++)
        {
            timer.Seconds();
        }

        return timer;
    }

    /// <summary>Seconds of one of the sets, run by run, for the time that the options give.</summary>
    internal static void Time(IOpTimer timer, OperatorBenchOptions options, int sets, List<double> seconds)
    {
        for (long start = Stopwatch.GetTimestamp();
            seconds.Count < LeastRuns || (seconds.Count < MostRuns && Stopwatch.GetElapsedTime(start).TotalSeconds < options.Seconds);)
        {
            seconds.Add(timer.Seconds() / sets);
        }
    }

    // The roofline counts as the best that was measured in the whole run, so rows are judged when all are done.
    private static OpRow Judge(OpRow row, double copy, double multiply, double margin)
    {
        double floor = Math.Max(row.Case.Bytes / copy, row.Case.Flops / multiply);
        string? refused = row.Refused
            ?? (floor > row.Median * margin ? Text($"{floor / row.Median:0.00} times the measured roofline: its time cannot be right") : null);
        return refused is null ? row with { Floor = floor } : row with { Floor = floor, Refused = refused, Median = 0, P95 = 0 };
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
