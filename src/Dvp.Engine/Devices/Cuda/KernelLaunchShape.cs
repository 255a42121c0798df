namespace Dvp.Engine.Devices.Cuda;

/// <summary>What a launch asks of a multiprocessor beside what is compiled into the kernel.</summary>
/// <param name="Threads">Threads of a block.</param>
/// <param name="DynamicSharedBytes">Shared memory that the launch adds to the kernel's own.</param>
internal readonly record struct KernelLaunchShape(int Threads, int DynamicSharedBytes = 0);
