namespace Dvp.Cuda;

/// <summary>What is known about the driver's error codes beyond their names.</summary>
internal static class CudaErrors
{
    /// <summary>Whether every later call on the context fails as well.</summary>
    internal static bool IsSticky(int code) => code is 214 or 220 or 700 or 702 or 710 or (>= 714 and <= 719) or 721 or 999;

    /// <summary>What to do about a code; empty where there is nothing to say.</summary>
    internal static string Advice(int code) => code switch
    {
        1 => " An argument does not fit the device or the kernel: see the limits of the device.",
        2 => " The memory of the device is full: make the batch smaller, or end what else runs on it.",
        100 => " See nvidia-smi, and give containers the GPU.",
        101 => " No device of that number is there: see nvidia-smi.",
        200 or 209 => " The machine code was made for another device: clear the kernel cache, or compile for this one.",
        221 => " The driver's own compiler (libnvidia-ptxjitcompiler) is not installed: install it, or kernels compiled for this device.",
        222 => " The driver is older than the PTX it was given: update the driver or compile with an older NVRTC.",
        700 or 716 => " A kernel read or wrote outside its memory; compute-sanitizer shows where.",
        701 => " The block needs more registers or shared memory than the multiprocessor has: launch fewer threads.",
        702 => " The launch ran into the time limit of a display device.",
        719 => " The device stopped inside a kernel; the process must be started again.",
        802 => " The machine's NVSwitches are not set up yet: start nvidia-fabricmanager, or wait for it.",
        803 or 804 => " The driver does not fit the libraries: update it, or take out the compatibility package.",
        900 or 901 => " A recorded piece of work did something that cannot be recorded: allocate and copy before it.",
        _ => "",
    };
}
