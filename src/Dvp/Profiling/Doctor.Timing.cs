using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;

namespace Dvp.Profiling;

public static partial class Doctor
{
    /// <summary>Rates of the two things that models spend their time with.</summary>
    private static void Time(List<DoctorFinding> found, Backend backend, int threads)
    {
        double peak = FmaPeak.Measure(threads == 0 ? Environment.ProcessorCount : threads);
        found.Add(new("timing", "multiply-adds on registers", string.Create(CultureInfo.InvariantCulture, $"{peak:0} GFLOP/s")));
        foreach (int rows in new[] { 17, 256 })
        {
            double gigaflops = ProductRate(backend, rows, 768, 768);
            found.Add(new(
                "timing",
                string.Create(CultureInfo.InvariantCulture, $"product {rows} x 768 x 768"),
                string.Create(CultureInfo.InvariantCulture, $"{gigaflops:0} GFLOP/s, {100 * gigaflops / peak:0} % of that")));
        }

        found.Add(new("timing", "memory, read by one thread", string.Create(CultureInfo.InvariantCulture, $"{ReadRate():0.0} GB/s")));
    }

    private static double ProductRate(Backend backend, int rows, int inputs, int outputs)
    {
        SeededRandom random = new(1);
        using DeviceBuffer left = backend.Allocate((long)rows * inputs * sizeof(float));
        using DeviceBuffer right = backend.Allocate((long)outputs * inputs * sizeof(float));
        using DeviceBuffer result = backend.Allocate((long)rows * outputs * sizeof(float));
        Tensor x = new(left, 0, ElementType.F32, [rows, inputs]);
        Tensor y = new(result, 0, ElementType.F32, [rows, outputs]);
        ParameterBlock weight = new(new Tensor(right, 0, ElementType.F32, [outputs, inputs]), null);
        backend.Upload(x, Values(random, rows * inputs));
        backend.Upload(weight.Value, Values(random, outputs * inputs));
        weight.Touch();
        double best = double.PositiveInfinity;
        long end = Stopwatch.GetTimestamp() + (Stopwatch.Frequency / 3);
        while (Stopwatch.GetTimestamp() < end)
        {
            long start = Stopwatch.GetTimestamp();
            backend.LinearForward(y, null, x, weight, null, Activation.None, null);
            backend.Synchronize();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        weight.ReleaseDeviceForms();
        return 2e-9 * rows * inputs * outputs / best;
    }

    /// <summary>GB/s of a sum over more values than caches hold; the best of three.</summary>
    private static double ReadRate()
    {
        float[] values = new float[64 << 20];
        double best = double.PositiveInfinity;
        Vector<float> sum = Vector<float>.Zero;
        for (int run = 0; run < 4; run++)
        {
            long start = Stopwatch.GetTimestamp();
            ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
            (Vector<float> a, Vector<float> b, Vector<float> c, Vector<float> d) = (sum, sum, sum, sum);
            for (int i = 0; i + 3 < vectors.Length; i += 4)
            {
                a += vectors[i];
                b += vectors[i + 1];
                c += vectors[i + 2];
                d += vectors[i + 3];
            }

            sum = a + b + c + d;
            if (run > 0)
            {
                best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds); // the first run makes the pages
            }
        }

        return sum == Vector<float>.Zero ? 1e-9 * values.Length * sizeof(float) / best : 0;
    }
}
