using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>Opens the device on the kernel host, with a folder of the test's own.</summary>
public abstract class CudaBackendTestBase : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dvp-device-").FullName;

    /// <summary>A folder that goes with the test.</summary>
    private protected string Folder => _folder;

    /// <summary>What the device had to say.</summary>
    private protected List<string> Notes { get; } = [];

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>A device that computes.</summary>
    private protected static void AssertFills(CudaBackend backend)
    {
        using DeviceBuffer buffer = backend.Allocate(8);
        Tensor y = new(buffer, 0, ElementType.F32, [2]);
        backend.Fill(y, 3);
        float[] values = new float[2];
        backend.Download(values, y);
        Assert.Equal([3f, 3], values);
    }

    /// <summary>A copy of the host of this test's own, which runs in a mode.</summary>
    private protected static string Host(string mode) => KernelHost.FolderFor(mode, Guid.NewGuid().ToString("N"));

    /// <summary>The device, on a copy of the host where it has a mode; compiled kernels are kept from test to test.</summary>
    private protected CudaBackend Open(string mode = "")
    {
        string host = mode.Length == 0 ? KernelHost.Folder : Host(mode);
        return CudaBackend.Open(0, ElementType.F32, Options(host) with { CacheFolder = CudaUnderTest.Options(host, mode).CacheFolder });
    }

    /// <summary>Settings for a host, with a cache that starts empty.</summary>
    private protected CudaOptions Options(string host) => new()
    {
        Driver = host,
        Nvrtc = host,
        CacheFolder = Path.Combine(_folder, "cache"),
        Note = text =>
        {
            lock (Notes)
            {
                Notes.Add(text);
            }
        },
    };
}
