using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Settings;
using Dvp.Tests.Ops;

namespace Dvp.Tests.Cuda;

/// <summary>
/// The CUDA device over the kernel host; over the machine's GPU where DVP_TEST_GPU is 1. On the kernel host it must give the same bits in the usual
/// order and in a random one.
/// </summary>
/// <param name="real">Type of activations and frozen weights.</param>
public sealed class CudaUnderTest(ElementType real) : DeviceUnderTest
{
    /// <summary>Mode in which every access is judged, threads and blocks run in random order and streams as late as they may.</summary>
    public const string Checked = "check,permute,late";

    /// <summary>The folder for <c>DVP_CACHE_DIR</c>: all tests, in this process, in those that it starts and in later ones, share what was compiled.</summary>
    public static string CacheRoot { get; } = Path.Combine(Path.GetTempPath(), "dvp-kernel-host");

    /// <inheritdoc/>
    public override IReadOnlyList<DeviceWay> Ways => [new(Machine.OnGpu ? "first" : "usual order", () => Open(real)), Strictest];

    /// <inheritdoc/>
    public override DeviceWay Strictest => new(Machine.OnGpu ? "second" : Checked, () => OpenChecked(real), JudgesAccesses: !Machine.OnGpu);

    /// <summary>Opens the device in the mode <see cref="Checked"/>, or the GPU.</summary>
    /// <param name="real">Type of activations and frozen weights.</param>
    public static CudaBackend OpenChecked(ElementType real) => Open(real, Machine.OnGpu ? null : Checked);

    /// <summary>Opens the device.</summary>
    /// <param name="real">Type of activations and frozen weights.</param>
    /// <param name="mode">Mode of the kernel host, see its README; null for none, where a GPU may take its place.</param>
    public static CudaBackend Open(ElementType real, string? mode = null)
    {
        if (mode is null && Machine.OnGpu)
        {
            return CudaBackend.Open(0, real, DvpEnvironment.CudaOptions());
        }

        // A host of its own for each type: an error stays in the device that had it.
        return CudaBackend.Open(0, real, Options(mode is null ? KernelHost.Folder : KernelHost.FolderFor(mode, real.ToString()), mode ?? ""));
    }

    /// <summary>Settings for a kernel host. Compiled kernels are kept for all tests and for later runs; those of the mode check are other code.</summary>
    /// <param name="folder">The host.</param>
    /// <param name="mode">Its mode.</param>
    public static CudaOptions Options(string folder, string mode)
    {
        // As DvpEnvironment names it; keys hold everything else that the code depends on.
        string kernels = mode.Contains("check", StringComparison.Ordinal) ? "checked-kernels" : "kernels";
        return new CudaOptions { Driver = folder, Nvrtc = folder, CacheFolder = Path.Combine(CacheRoot, kernels) };
    }
}
