using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Tests.Cuda;
using Dvp.Tests.IO;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>
/// A whole tiny DVP of each family trains and answers on the kernel host with every access judged, threads and blocks in random order and streams
/// as late as they may, steps recorded and replayed: no fault, and the bits of the usual order.
/// </summary>
[Requires(Capability.KernelHost)]
public sealed class CudaFamilyTests : IDisposable
{
    private const int Steps = 6;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("t5", ElementType.F32, CudaUnderTest.Checked)]
    [InlineData("t5", ElementType.F32, "permute,seed=2")]
    [InlineData("t5", ElementType.BF16, CudaUnderTest.Checked)]
    [InlineData("llama", ElementType.F32, CudaUnderTest.Checked)]
    [InlineData("llama", ElementType.BF16, "permute,seed=2")]
    [InlineData("llama", ElementType.F16, CudaUnderTest.Checked)]
    public void Any_order_trains_to_the_same_bits(string family, ElementType type, string mode)
    {
        (byte[] bits, float[] logits, long graphs) = Train(family, type, null);
        (byte[] otherBits, float[] otherLogits, long otherGraphs) = Train(family, type, mode);
        Assert.Equal(bits, otherBits);
        Assert.Equal(logits, otherLogits);
        Assert.Equal(graphs, otherGraphs);
        Assert.All(logits, z => Assert.True(float.IsFinite(z)));
    }

    private (byte[] Bits, float[] Logits, long Graphs) Train(string family, ElementType type, string? mode)
    {
        TinyModel model = family == "t5" ? new TinyT5 { Gated = true } : new TinyLlama();
        TrainingSet examples = TinyDvp.Examples(model, 8, seed: 3);
        using CudaBackend device = CudaUnderTest.Open(type, mode);
        using TinyRunner tiny = new(device, _folder[family], examples: examples, model: model);
        tiny.Steps(0, Steps);
        float[] logits = tiny.Predictor.Logits(examples, 1);
        Assert.True(device.Counters.GraphLaunches > 0, "no step was replayed");
        return (tiny.Bits(), logits, device.Counters.GraphLaunches);
    }
}
