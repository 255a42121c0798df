using Dvp.Engine;
using Dvp.Engine.Devices.Cuda;

namespace Dvp.Profiling;

/// <summary>One product that was tuned.</summary>
/// <param name="Case">The operator it stands in.</param>
/// <param name="Shape">The product.</param>
/// <param name="Planned">Seconds in the plan's own way, the median.</param>
/// <param name="Best">Seconds in the fastest way.</param>
/// <param name="Way">That way where it is kept; null where the plan's own choice is as fast.</param>
/// <param name="Tried">Ways that were measured.</param>
public sealed record TunedProduct(OpCase Case, ProductShape Shape, double Planned, double Best, ProductWay? Way, int Tried);

/// <summary>
/// Measures every way of making the products of DVP-BERT-base on a GPU, and keeps those that are faster than the way which is chosen by
/// reasoning. Tuning is asked for and never happens by itself: another way of splitting a sum rounds otherwise, and a run is to repeat itself.
/// </summary>
public static class ProductTuner
{
    /// <summary>What a way must save to be kept: less is noise.</summary>
    private const double LeastGain = 0.03;

    /// <summary>Tunes and keeps.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="options">Batches, seconds of each way, and the filter by operator.</param>
    /// <exception cref="DvpException">The device has no clock, or what was found cannot be kept.</exception>
    public static IReadOnlyList<TunedProduct> Run(CudaBackend backend, OperatorBenchOptions options)
    {
        using OpClock clock = OperatorBench.Clock(backend, options);
        return Run(backend, clock, options, OperatorBench.List(options, Engine.Tensors.ElementTypes.Size(backend.ActivationType)));
    }

    /// <summary>The same with clock and operators given.</summary>
    internal static IReadOnlyList<TunedProduct> Run(CudaBackend backend, OpClock clock, OperatorBenchOptions options, IReadOnlyList<OpCase> cases)
    {
        List<TunedProduct> tuned = [];
        foreach (OpCase one in cases)
        {
            if (Shape(one) is not { } shape || tuned.Any(t => t.Shape == shape) || !backend.Ways(shape).Any())
            {
                continue;
            }

            options.OnRow?.Invoke(one.Name);
            tuned.Add(Tune(backend, clock, options, one, shape));
        }

        backend.KeepTuning();
        return tuned;
    }

    private static TunedProduct Tune(CudaBackend backend, OpClock clock, OperatorBenchOptions options, OpCase one, ProductShape shape)
    {
        using OpOperands operands = new(backend);
        long before = backend.Counters.BytesAllocated;
        List<Action> calls = [one.Prepare(operands)];
        int sets = OperatorBench.SetsBeyondCache(clock, backend.Counters.BytesAllocated - before);
        while (calls.Count < sets)
        {
            calls.Add(one.Prepare(operands));
        }

        backend.Tune(shape, null);
        double planned = Median(null), best = planned;
        (ProductWay? fastest, int tried) = (null, 1);
        foreach (ProductWay way in backend.Ways(shape))
        {
            double seconds = Median(way);
            tried++;
            if (seconds < best)
            {
                (best, fastest) = (seconds, way);
            }
        }

        // The winner of many is flattered by noise: it has to win once more, against the plan measured beside it.
        if (fastest is { } winner)
        {
            (planned, best) = (Median(null), Median(winner));
            fastest = best < (1 - LeastGain) * planned ? winner : null;
        }

        backend.Tune(shape, fastest);
        return new TunedProduct(one, shape, planned, fastest is null ? planned : best, fastest, tried);

        double Median(ProductWay? way)
        {
            backend.Way = way;
            try
            {
                using IOpTimer timer = OperatorBench.Warm(clock, options, calls);
                List<double> seconds = [];
                OperatorBench.Time(timer, options, sets, seconds);
                seconds.Sort();
                return seconds[seconds.Count / 2];
            }
            finally
            {
                backend.Way = null;
            }
        }
    }

    /// <summary>The product of an operator; null for what is none, or more than one.</summary>
    private static ProductShape? Shape(OpCase one)
    {
        if (!one.Op.StartsWith("linear_", StringComparison.Ordinal))
        {
            return null;
        }

        (int rows, int inputs, int outputs) = (one.Sizes[0].Value, one.Sizes[1].Value, one.Sizes[2].Value);
        return one.Op switch
        {
            "linear_backward_input" => new ProductShape(ProductForm.BackwardInput, rows, inputs, outputs),
            "linear_backward_parameters" => new ProductShape(ProductForm.BackwardWeight, outputs, inputs, rows),
            _ => new ProductShape(ProductForm.Forward, rows, outputs, inputs),
        };
    }
}
