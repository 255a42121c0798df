using Dvp.Engine;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Profiling;
using Xunit;

namespace Dvp.Tests.Cuda;

[Requires(Capability.KernelHost)]
public sealed class RooflineTests
{
    [Theory]
    [InlineData(ElementType.F32, 496 + (6 / 2f))]
    [InlineData(ElementType.BF16, 496 + (2f * 6))]
    [InlineData(ElementType.F16, 496 + (2f * 6))]
    public void The_kernel_that_measures_the_roof_really_multiplies(ElementType real, float expected)
    {
        using CudaBackend backend = Open(real);
        using DeviceBuffer buffer = backend.Allocate(2 * 256 * sizeof(float));
        Tensor sums = new(buffer, 0, ElementType.F32, [2, 256]);
        backend.RooflineMultiply(sums, blocks: 2, rounds: 6);
        float[] values = new float[2 * 256];
        backend.Download(values, sums);
        Assert.All(values, v => Assert.Equal(expected, v));
    }

    [Fact]
    public void Times_of_a_device_without_a_clock_are_refused()
    {
        using CudaBackend backend = Open(ElementType.F32);
        Assert.False(backend.HasClock);
        bool ran = false;
        DvpException error = Assert.Throws<DvpException>(() => backend.Seconds(() => ran = true));
        Assert.Equal(DvpExitCode.NoDevice, error.ExitCode);
        Assert.False(ran);
        error = Assert.Throws<DvpException>(() => OperatorBench.Run(backend, new OperatorBenchOptions()));
        Assert.Contains("no clock", error.Message);
        Assert.Equal(DvpExitCode.NoDevice, error.ExitCode);
    }

    private static CudaBackend Open(ElementType real) =>
        CudaBackend.Open(0, real, new CudaOptions { Driver = KernelHost.Folder, Nvrtc = KernelHost.Folder });
}
