using System.Diagnostics;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;

namespace Dvp.Profiling;

/// <summary>How operators of a device are timed, and what the device can do at best.</summary>
internal abstract class OpClock(Backend backend) : IDisposable
{
    /// <summary>The device.</summary>
    protected Backend Backend => backend;

    /// <summary>Bytes that the device's last cache holds: operands are rotated beyond it.</summary>
    public abstract long CacheBytes { get; }

    /// <summary>How far above the measured roofline a row may lie before it is refused as wrong.</summary>
    public abstract double Margin { get; }

    /// <summary>Takes over work that will be timed many times.</summary>
    public abstract IOpTimer Record(Action work);

    /// <summary>Multiply-adds on registers, two operations each, in FLOP/s.</summary>
    public abstract double MultiplyRate();

    /// <summary>Bytes that a copy far larger than the cache reads and writes a second: the best of several.</summary>
    public double CopyRate(double seconds)
    {
        long bytes = Math.Max(4 * CacheBytes, 64 << 20);
        int rows = (int)(bytes / (4 << 10));
        using DeviceBuffer from = backend.Allocate(bytes), to = backend.Allocate(bytes);
        Tensor x = new(from, 0, ElementType.F32, [rows, 1 << 10]), y = new(to, 0, ElementType.F32, [rows, 1 << 10]);
        using IOpTimer timer = Record(() => backend.Copy(y, x));
        timer.Seconds();
        double best = timer.Seconds();
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < seconds;)
        {
            best = Math.Min(best, timer.Seconds());
        }

        return 2.0 * bytes / best;
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }
}

/// <summary>Work that is timed.</summary>
internal interface IOpTimer : IDisposable
{
    /// <summary>Runs the work once more and returns its seconds.</summary>
    double Seconds();
}

/// <summary>The CPU, timed by the system's clock.</summary>
internal sealed class CpuOpClock(CpuBackend backend, int threads) : OpClock(backend)
{
    public override long CacheBytes => 32 << 20;

    /// <summary>None: a read alone is faster than a copy, and caches of servers differ too much to rotate beyond all of them.</summary>
    public override double Margin => double.PositiveInfinity;

    public override IOpTimer Record(Action work) => new Timer(work);

    public override double MultiplyRate() => 1e9 * FmaPeak.Measure(threads);

    private sealed class Timer(Action work) : IOpTimer
    {
        public double Seconds()
        {
            long start = Stopwatch.GetTimestamp();
            work();
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        public void Dispose()
        {
        }
    }
}

/// <summary>A GPU, timed by events around recorded work, so that neither launches nor the host are measured.</summary>
internal sealed class CudaOpClock(CudaBackend backend) : OpClock(backend)
{
    public override long CacheBytes => Math.Max(backend.Device.CacheBytes, 1 << 20);

    /// <summary>Reads alone may be somewhat faster than a copy, and the clock may rise between two measurements.</summary>
    public override double Margin => 1.1;

    public override IOpTimer Record(Action work) => new Timer(backend, work);

    public override double MultiplyRate() => backend.MultiplyRate();

    private sealed class Timer : IOpTimer
    {
        private readonly CudaBackend _backend;
        private readonly RecordedWork _work;
        private readonly Action _run;

        public Timer(CudaBackend backend, Action work)
        {
            (_backend, _work) = (backend, backend.Record(work));
            _run = _work.Run;
            _run(); // loads kernels, allocates scratch memory
        }

        public double Seconds() => _backend.Seconds(_run);

        public void Dispose() => _work.Dispose();
    }
}
