using Dvp.Cuda;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Time on the device's own clock, and the roof of its multiply-adds: kernels/roofline.cu.
public sealed partial class CudaBackend
{
    private const int RooflineThreads = 256;
    private const int RooflineRounds = 4096;
    private CudaEvent? _begin;
    private CudaEvent? _end;

    /// <summary>Whether the device has a clock: a driver that runs kernels on something else than a GPU reports a rate of 0, and then times mean nothing.</summary>
    public bool HasClock => _context.Info.ClockKilohertz > 0;

    /// <summary>Queues work between two events, waits for it, and returns the seconds between them.</summary>
    /// <param name="work">Calls operators, or runs recorded work.</param>
    /// <exception cref="DvpException">The device has no clock.</exception>
    public double Seconds(Action work)
    {
        if (!HasClock)
        {
            throw new DvpException($"{Name} reports no clock rate, so its times mean nothing; measure on a GPU.", exitCode: DvpExitCode.NoDevice);
        }

        try
        {
            _begin ??= _context.CreateEvent();
            _end ??= _context.CreateEvent();
            _stream.Record(_begin);
            work();
            _stream.Record(_end);
            _end.Synchronize();
            return 1e-3 * _end.MillisecondsSince(_begin);
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }
    }

    /// <summary>
    /// Multiply-adds a second, two operations each, on all multiprocessors and registers alone: mma.sync for 16-bit storage, fused
    /// multiply-adds for f32. The best of several short runs; what it was a moment ago tells whether the clock moved.
    /// </summary>
    /// <exception cref="DvpException">The device has no clock.</exception>
    public double MultiplyRate()
    {
        int blocks = 8 * Multiprocessors;
        nint sums = Scratch((long)blocks * RooflineThreads * sizeof(float));
        double best = double.MaxValue;
        for (int run = 0; run < 4; run++)
        {
            best = Math.Min(best, Seconds(() => RooflineMultiply(KernelArgument.Address(sums), blocks, RooflineRounds)));
        }

        double warps = (double)blocks * (RooflineThreads / WarpSize);
        double operations = _real == ElementType.F32 ? 2.0 * WarpSize * 32 * 4 : 8 * 4096.0;
        return warps * RooflineRounds * operations / best;
    }

    /// <summary>Adds 1/16 * 1/16 over and over: <c>sums</c> (blocks * 256) receives 496 + 2 rounds a thread, or 496 + rounds / 2 for f32.</summary>
    internal void RooflineMultiply(KernelArgument sums, int blocks, int rounds) =>
        Kernel("roofline_multiply", "roofline", _real).Launch(blocks, RooflineThreads, 0, sums, 1f / 16, 1f / 16, rounds);

    private void DisposeTiming()
    {
        _begin?.Dispose();
        _end?.Dispose();
    }
}
