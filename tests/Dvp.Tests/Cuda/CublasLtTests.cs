using Dvp.Cuda;
using Dvp.Engine;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>The peer's product on the kernel host's stand-in: calls, layouts and transposes.</summary>
[Requires(Capability.KernelHost)]
public sealed class CublasLtTests
{
    [Theory]
    [InlineData(ElementType.F32, 1, 1, 1)]
    [InlineData(ElementType.F32, 17, 31, 33)]
    [InlineData(ElementType.BF16, 5, 24, 40)]
    [InlineData(ElementType.F16, 5, 24, 40)]
    public void The_product_is_x_times_the_weight_transposed(ElementType real, int rows, int inputs, int outputs)
    {
        using CudaBackend backend = CudaBackend.Open(0, real, new CudaOptions { Driver = KernelHost.Folder, Nvrtc = KernelHost.Folder });
        using CublasLtPeer peer = CublasLtPeer.Find(backend, KernelHost.Folder)!;
        float[] x = new float[rows * inputs], w = new float[outputs * inputs], y = new float[rows * outputs], expected = new float[rows * outputs];
        SeededRandom random = new(1);
        random.FillUniform(x, -1, 1);
        random.FillUniform(w, -1, 1);
        Tensor dx = OnDevice(backend, real, rows, inputs), dw = OnDevice(backend, real, outputs, inputs), dy = OnDevice(backend, real, rows, outputs);
        backend.Upload(dx, x);
        backend.Upload(dw, w);
        backend.Download(x, dx); // as the device has rounded them
        backend.Download(w, dw);
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < outputs; j++)
            {
                double sum = 0;
                for (int k = 0; k < inputs; k++)
                {
                    sum += (double)x[(i * inputs) + k] * w[(j * inputs) + k];
                }

                expected[(i * outputs) + j] = (float)sum;
            }
        }

        peer.Product(dy, dx, dw)();
        backend.Download(y, dy);
        double tolerance = real switch { ElementType.F32 => 1e-5, ElementType.F16 => 5e-3, _ => 4e-2 }; // half a unit of the last place of 8
        Assert.All(y.Zip(expected), pair => Assert.Equal(pair.Second, pair.First, tolerance));
    }

    [Fact]
    public void A_library_that_is_not_there_is_named_with_what_to_do()
    {
        using CudaContext context = CudaDriver.Open(KernelHost.Folder).OpenDevice(0);
        CudaException e = Assert.Throws<CudaException>(() => CublasLt.Open(context, "/nowhere"));
        Assert.Contains("/nowhere", e.Message);
        Assert.Contains("Install cuBLAS", e.Message);
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        using CudaBackend backend = CudaBackend.Open(0, ElementType.F32, new CudaOptions { Driver = KernelHost.Folder, Nvrtc = KernelHost.Folder });
        using CublasLtPeer peer = CublasLtPeer.Find(backend, KernelHost.Folder)!;
        Tensor a = OnDevice(backend, ElementType.F32, 4, 8);
        Assert.Throws<ArgumentException>(() => peer.Product(a, a, a));
    }

    private static Tensor OnDevice(CudaBackend backend, ElementType real, int rows, int columns) =>
        new(backend.Allocate((long)rows * columns * real.Size()), 0, real, [rows, columns]);
}
