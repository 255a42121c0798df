using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Settings;
using Dvp.Tests.Ops;

namespace Dvp.Tests.Cuda;

/// <summary>The CUDA device over the kernel host; over the machine's GPU where DVP_TEST_GPU is 1.</summary>
/// <param name="real">Type of activations and frozen weights.</param>
public sealed class CudaUnderTest(ElementType real) : DeviceUnderTest
{
    // One cache of compiled kernels for all tests of the process and for later runs: its keys hold everything that the code depends on.
    private static readonly string s_cache = Path.Combine(Path.GetTempPath(), "dvp-kernel-host", "cache");

    /// <summary>Two runs must give the same bits.</summary>
    public override IReadOnlyList<int> ThreadCounts => [0, 0];

    /// <inheritdoc/>
    public override Backend Open(int threads = 0) => Open(real);

    /// <summary>Opens the device.</summary>
    /// <param name="real">Type of activations and frozen weights.</param>
    /// <param name="mode">Mode of the kernel host, see its README; null for none, where a GPU may take its place.</param>
    public static CudaBackend Open(ElementType real, string? mode = null)
    {
        if (mode is null && Machine.OnGpu)
        {
            return CudaBackend.Open(0, real, DvpEnvironment.CudaOptions());
        }

        string folder = mode is null ? KernelHost.Folder : KernelHost.FolderFor(mode);
        return CudaBackend.Open(0, real, new CudaOptions { Driver = folder, Nvrtc = folder, CacheFolder = s_cache });
    }
}
