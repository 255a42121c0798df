using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>The machine's rate of multiply-adds, measured: the roof that matrix products are judged against.</summary>
public static unsafe class FmaPeak
{
    private const int Sums = 12;
    private const int Iterations = 200_000;

    private struct Work
    {
        public CpuKernelKind Kind;
        public float Factor;
        public float* Results;
    }

    /// <summary>GFLOP/s of a loop of independent multiply-adds on registers, two operations each: the best of several short runs.</summary>
    /// <param name="threads">Threads that run the loop at once.</param>
    public static double Measure(int threads) => Measure(threads, null);

    /// <summary>As <see cref="Measure(int)"/> at a given vector width.</summary>
    /// <param name="threads">Threads that run the loop at once.</param>
    /// <param name="kind">The vector width; null for the machine's best.</param>
    internal static double Measure(int threads, CpuKernelKind? kind)
    {
        using var pool = new CpuThreadPool(threads);
        return Measure(pool, kind ?? CpuKernelKinds.Best);
    }

    /// <summary>As <see cref="Measure(int, CpuKernelKind?)"/>, on the threads of a pool.</summary>
    internal static double Measure(CpuThreadPool pool, CpuKernelKind kind, int runs = 8)
    {
        int threads = pool.Threads;
        float* results = stackalloc float[threads];
        var work = new Work { Kind = kind, Factor = 0.999f, Results = results };
        int width = kind switch
        {
            CpuKernelKind.Avx512 => Simd512.Count,
            CpuKernelKind.Avx2 => Simd256.Count,
            _ => SimdAny.Count,
        };
        double operations = 2.0 * Sums * Iterations * width * threads;
        double best = 0;
        for (int run = 0; run <= runs; run++)
        {
            long start = Stopwatch.GetTimestamp();
            pool.Run(&Body, &work, threads);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;

            // The first run wakes the threads.
            best = run == 0 ? best : Math.Max(best, operations / seconds);
        }

        return best / 1e9;
    }

    private static void Body(void* context, int chunk)
    {
        var work = (Work*)context;
        work->Results[chunk] = work->Kind switch
        {
            CpuKernelKind.Avx512 => Loop<Simd512, Vector512<float>>(work->Factor)[0],
            CpuKernelKind.Avx2 => Loop<Simd256, Vector256<float>>(work->Factor)[0],
            _ => Loop<SimdAny, Vector<float>>(work->Factor)[0],
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TVector Loop<TSimd, TVector>(float factor)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector f = TSimd.Create(factor);
        TVector t = TSimd.Create(1f - factor);
        TVector s0 = f, s1 = f, s2 = f, s3 = f, s4 = f, s5 = f, s6 = f, s7 = f, s8 = f, s9 = f, s10 = f, s11 = f;
        for (int i = 0; i < Iterations; i++)
        {
            s0 = TSimd.MultiplyAdd(s0, f, t);
            s1 = TSimd.MultiplyAdd(s1, f, t);
            s2 = TSimd.MultiplyAdd(s2, f, t);
            s3 = TSimd.MultiplyAdd(s3, f, t);
            s4 = TSimd.MultiplyAdd(s4, f, t);
            s5 = TSimd.MultiplyAdd(s5, f, t);
            s6 = TSimd.MultiplyAdd(s6, f, t);
            s7 = TSimd.MultiplyAdd(s7, f, t);
            s8 = TSimd.MultiplyAdd(s8, f, t);
            s9 = TSimd.MultiplyAdd(s9, f, t);
            s10 = TSimd.MultiplyAdd(s10, f, t);
            s11 = TSimd.MultiplyAdd(s11, f, t);
        }

        TVector sum = TSimd.Add(TSimd.Add(TSimd.Add(s0, s1), TSimd.Add(s2, s3)), TSimd.Add(TSimd.Add(s4, s5), TSimd.Add(s6, s7)));
        return TSimd.Add(sum, TSimd.Add(TSimd.Add(s8, s9), TSimd.Add(s10, s11)));
    }
}
