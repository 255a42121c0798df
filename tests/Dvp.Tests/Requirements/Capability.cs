namespace Dvp.Tests;

/// <summary>What a test may need of the machine.</summary>
[Flags]
public enum Capability
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A CUDA driver (<c>DVP_CUDA_DRIVER</c> or the system's) that reports a device.</summary>
    Cuda = 1,

    /// <summary>NVRTC (<c>DVP_NVRTC</c> or the system's).</summary>
    Nvrtc = 2,

    /// <summary>A C++ compiler that can build the kernel host of tests/Dvp.KernelHost.</summary>
    KernelHost = 4,

    /// <summary>A Python 3 interpreter.</summary>
    Python = 8,

    /// <summary>A C++ compiler.</summary>
    CppCompiler = 16,

    /// <summary>A CUDA device for the operators and models: the kernel host, or the GPU where DVP_TEST_GPU is 1.</summary>
    CudaDevice = 32,

    /// <summary>nvdisasm of the CUDA toolkit: beside NVRTC (<c>DVP_NVRTC</c>), on the PATH or in the toolkit's folder.</summary>
    Nvdisasm = 64,

    /// <summary>A just-in-time compiler, whose settings or listings the test is about; native builds of the tests have none.</summary>
    Jit = 128,
}
