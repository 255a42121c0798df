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
    /// <summary>The folder for <c>DVP_CACHE_DIR</c>: all tests, in this process, in those that it starts and in later ones, share what was compiled.</summary>
    public static string CacheRoot { get; } = Path.Combine(Path.GetTempPath(), "dvp-kernel-host");

    private static readonly string s_cache = Path.Combine(CacheRoot, "kernels"); // as DvpEnvironment names it; keys hold everything that the code depends on

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
