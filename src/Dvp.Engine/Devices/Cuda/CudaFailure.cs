using Dvp.Cuda;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>Turns errors of the driver and of the compiler into the engine's own.</summary>
internal static class CudaFailure
{
    private const int OutOfMemory = 2;

    /// <summary>An error of a device that is there; the cause stays inside.</summary>
    public static DvpException Wrap(CudaException e)
    {
        string hint = e.FromEarlierLaunch ? " DVP_LAUNCH_BLOCKING=1 turns that on." : "";
        return new DvpException($"CUDA: {e.Message}{hint}", e, DvpExitCode.NoDevice);
    }

    /// <summary>An error of a device that cannot be opened.</summary>
    public static DvpException NotThere(CudaException e, int index) =>
        new($"The device cuda:{index} was asked for and cannot be used. {e.Message} Or leave --device out, or give --device cpu.", e, DvpExitCode.NoDevice);

    /// <summary>An allocation that failed.</summary>
    public static DvpException Allocation(CudaException e, long bytes, CudaContext context)
    {
        if (e.Code != OutOfMemory)
        {
            return Wrap(e);
        }

        long free;
        try
        {
            free = context.Memory.Free;
        }
        catch (CudaException)
        {
            return Wrap(e);
        }

        return new DvpException(
            $"{context.Info.Name} has no {Mebibytes(bytes)} MiB left ({Mebibytes(free)} of {Mebibytes(context.Info.MemoryBytes)} MiB free): "
            + "make the batch smaller, take --dtype bf16, or end what else runs on it.",
            e, DvpExitCode.NoDevice);
    }

    private static long Mebibytes(long bytes) => (bytes + (1 << 20) - 1) >> 20;
}
