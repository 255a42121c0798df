using Dvp.Cuda;
using Dvp.Tests.Cuda;
using Xunit;

namespace Dvp.Tests.Docs;

/// <summary>The example of src/Dvp.Cuda/README.md, compiled and run here; it must stand there word for word.</summary>
public sealed class CudaReadmeExample
{
    [Fact]
    [Requires(Capability.KernelHost)]
    public void The_example_runs() => Assert.Equal([3f, 6, 9], Run(KernelHost.Folder, KernelHost.Folder));

    [Fact]
    public void The_README_shows_this_very_code()
    {
        string file = File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, "tests", "Dvp.Tests", "Docs", "CudaReadmeExample.cs")).ReplaceLineEndings("\n");
        string[] lines = file.Split('\n');
        int start = Array.FindIndex(lines, l => l.Trim() == "// README: start"), end = Array.FindIndex(lines, l => l.Trim() == "// README: end");
        string[] code = [.. lines[(start + 1)..end].Select(l => l.Length > 8 ? l[8..] : "")];
        Assert.True(code.Length > 20);
        string readme = File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, "src", "Dvp.Cuda", "README.md")).ReplaceLineEndings("\n");
        Assert.Contains(string.Join('\n', code), readme, StringComparison.Ordinal);
    }

    private static float[] Run(string? driverPath, string? nvrtcPath)
    {
        // README: start
        CudaDriver driver = CudaDriver.Open(driverPath); // a file, a folder, or null for the usual places
        using CudaContext context = driver.OpenDevice(0);
        using CudaStream stream = context.CreateStream();

        Nvrtc nvrtc = Nvrtc.Open(new NvrtcSearch(nvrtcPath, [], driver.Version)); // a version whose code this driver runs
        NvrtcResult compiled = nvrtc.Compile(
            """
            extern "C" __global__ void axpy(float* y, const float* x, float a, int n)
            {
                int i = blockIdx.x * blockDim.x + threadIdx.x;
                if (i < n) y[i] += a * x[i];
            }
            """,
            "axpy.cu", headers: [], options: [$"-arch={context.Info.Architecture}"]);

        using CudaModule module = context.LoadModule(compiled.Code);
        CudaFunction axpy = module.Function("axpy");

        float[] values = [1, 2, 3];
        using DeviceMemory x = context.Allocate(values.Length * sizeof(float));
        using DeviceMemory y = context.Allocate(values.Length * sizeof(float));
        stream.Upload<float>(x, values);
        stream.Upload<float>(y, values);
        stream.Launch(axpy, grid: 1, block: 32, sharedBytes: 0, y, x, 2f, values.Length);
        stream.Download<float>(values, y); // 3, 6, 9
        // README: end
        return values;
    }
}
