using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>Parameters as kernels read them: copies of f32 values in a 16-bit type, in step with what training does to the values.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaWeightFormTests
{
    private const int Outputs = 24;
    private const int Inputs = 16;

    [Fact]
    public void Recorded_work_copies_all_that_trains_in_one_launch_and_sees_every_change()
    {
        using CudaBackend device = CudaUnderTest.Open(ElementType.BF16);
        using DeviceBuffer values = device.Allocate(4096);
        using DeviceBuffer rest = device.Allocate(65536);
        ParameterBlock[] weights = [Block(values, rest, 0), Block(values, rest, 2048)];
        Tensor x = new(rest, 32768, ElementType.BF16, [2, Inputs]);
        Tensor[] y = [new(rest, 34816, ElementType.BF16, [2, Outputs]), new(rest, 36864, ElementType.BF16, [2, Outputs])];
        device.Upload(x, Filled(2 * Inputs, 1));
        Fill(device, weights, 1);

        using RecordedWork work = device.Record(() =>
        {
            for (int i = 0; i < 2; i++)
            {
                device.LinearForward(y[i], null, x, weights[i], null, Activation.None, null);
            }
        });
        work.Run();
        foreach (float value in (float[])[2, 3, 4])
        {
            Fill(device, weights, value);
            long before = device.Counters.Launches;
            work.Run();
            Assert.Equal(3, device.Counters.Launches - before); // two products, one copy
            float[] results = new float[2 * Outputs];
            for (int i = 0; i < 2; i++)
            {
                device.Download(results, y[i]);
                Assert.All(results, r => Assert.Equal(Inputs * (value + i), r));
            }
        }

        // Outside the recording the copy is renewed when the version says so.
        Fill(device, weights, 5);
        device.LinearForward(y[0], null, x, weights[0], null, Activation.None, null);
        float[] now = new float[2 * Outputs];
        device.Download(now, y[0]);
        Assert.All(now, r => Assert.Equal(Inputs * 5, r));
        weights[0].ReleaseDeviceForms();
        weights[1].ReleaseDeviceForms();
    }

    [Fact]
    public void Parts_read_the_copy_of_the_whole_and_the_last_release_frees_it()
    {
        using CudaBackend device = CudaUnderTest.Open(ElementType.F16);
        using DeviceBuffer values = device.Allocate(4096);
        using DeviceBuffer rest = device.Allocate(65536);
        ParameterBlock[] weights = [Block(values, rest, 0), Block(values, rest, 2048)];
        Fill(device, weights, 1);
        long before = device.Counters.BytesAllocated;

        Tensor whole = device.Form(weights[0]);
        long launches = device.Counters.Launches;
        Tensor part = device.Form(weights[0].Outputs(3, 5).Outputs(1, 2));
        Assert.Equal(launches, device.Counters.Launches); // nothing to copy again
        Assert.Equal((whole.Address + (4 * Inputs * 2), 2, Inputs), (part.Address, part.Rows, part.Columns));
        Assert.NotEqual(whole.Address, device.Form(weights[1]).Address);
        Assert.Equal(before + 2048, device.Counters.BytesAllocated);

        weights[0].ReleaseDeviceForms();
        Assert.Equal(before + 2048, device.Counters.BytesAllocated);
        weights[1].ReleaseDeviceForms();
        Assert.Equal(before, device.Counters.BytesAllocated);
    }

    private static ParameterBlock Block(DeviceBuffer values, DeviceBuffer gradients, int offset) => new(
        new Tensor(values, offset, ElementType.F32, [Outputs, Inputs]), new Tensor(gradients, offset, ElementType.F32, [Outputs, Inputs]));

    // The second block's values are one more than the first's.
    private static void Fill(CudaBackend device, ParameterBlock[] weights, float value)
    {
        for (int i = 0; i < weights.Length; i++)
        {
            device.Upload(weights[i].Value, Filled(Outputs * Inputs, value + i));
            weights[i].Touch();
        }
    }

    private static float[] Filled(int count, float value) => [.. Enumerable.Repeat(value, count)];
}
