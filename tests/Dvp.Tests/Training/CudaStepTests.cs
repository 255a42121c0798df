using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Tests.Cuda;
using Dvp.Tests.IO;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>Training and answering on the CUDA device: one graph a steady step, the same bits twice, the numbers of the CPU.</summary>
[Requires(Capability.KernelHost)]
public sealed class CudaStepTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(ElementType.F32, 1, 1)]
    [InlineData(ElementType.F32, 2, 4)] // gradients to zero, two passes, the update
    [InlineData(ElementType.F16, 1, 1)] // with a loss scale that grows and shrinks meanwhile
    [InlineData(ElementType.F16, 2, 4)]
    public void A_steady_step_is_one_graph_and_allocates_nothing(ElementType type, int accumulation, int graphs)
    {
        LossScaleSettings moving = new() { Initial = 1 << 20, Interval = 2 };
        using TinyRunner tiny = Open(type, s => s with { Accumulation = accumulation, LossScale = moving });
        CudaBackend device = (CudaBackend)tiny.Device;
        tiny.Steps(0, 24); // every length comes up at least twice
        (long launched, long downloads, long memory) = (device.Counters.GraphLaunches, device.Counters.Downloads, device.Counters.BytesAllocated);
        long launches = device.Counters.Launches;
        long managed = GC.GetAllocatedBytesForCurrentThread();
        const int Steps = 6;
        for (int step = 24; step < 24 + Steps; step++)
        {
            tiny.Runner.Step(step, 1);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - managed);
        Assert.Equal(Steps * graphs, device.Counters.GraphLaunches - launched);
        Assert.Equal(Steps, device.Counters.Downloads - downloads); // loss, norm and loss scale, in one copy
        Assert.Equal(0, device.Counters.BytesAllocated - memory);
        Assert.True(device.Counters.Launches - launches > 50 * Steps, "the kernels inside the graphs are counted");
        Assert.Equal(type == ElementType.F16, tiny.Runner.LossScale is { SkippedSteps: > 0 });
    }

    [Fact]
    public void A_search_step_is_one_graph_whichever_layer_is_drawn()
    {
        using TinyRunner tiny = new(CudaUnderTest.Open(ElementType.F32), _folder["model"], examples: TinyRunner.Examples(24, longest: 3), layer: null);
        CudaBackend device = (CudaBackend)tiny.Device;
        int[] layers = [.. Enumerable.Range(0, TinyRunner.Layers)];
        tiny.Runner.Step(0, layers[0]); // the most rows: the others fit into its activations
        long activations = tiny.Runner.Graphs.ActivationBytes;
        int step = 1;
        foreach (int layer in (int[])[.. layers, .. layers])
        {
            tiny.Runner.Step(step++, layer); // an ordinary run, then a recorded one
        }

        Assert.Equal(activations, tiny.Runner.Graphs.ActivationBytes);
        (long launched, long memory) = (device.Counters.GraphLaunches, device.Counters.BytesAllocated);
        long managed = GC.GetAllocatedBytesForCurrentThread();
        tiny.Runner.Step(step++, 2);
        tiny.Runner.Step(step++, 0);
        tiny.Runner.Step(step++, 1);
        tiny.Runner.Step(step++, 0);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - managed);
        Assert.Equal(4, device.Counters.GraphLaunches - launched);
        Assert.Equal(0, device.Counters.BytesAllocated - memory);
    }

    [Fact]
    public void A_steady_pass_of_inference_is_one_graph()
    {
        using TinyRunner tiny = Open(ElementType.F32);
        CudaBackend device = (CudaBackend)tiny.Device;
        TrainingSet set = TinyRunner.Examples(8);
        tiny.Predictor.Logits(set, 1);
        float[] recorded = tiny.Predictor.Logits(set, 1);
        long before = device.Counters.GraphLaunches;
        Assert.Equal(recorded, tiny.Predictor.Logits(set, 1));
        Assert.Equal(1, device.Counters.GraphLaunches - before);
    }

    [Theory]
    [InlineData(ElementType.F32, "")]
    [InlineData(ElementType.F32, "late")]
    [InlineData(ElementType.F32, CudaUnderTest.Checked)]
    [InlineData(ElementType.F32, "permute,seed=2")]
    [InlineData(ElementType.F32, "permute,seed=3")]
    [InlineData(ElementType.BF16, CudaUnderTest.Checked)]
    [InlineData(ElementType.BF16, "permute,seed=2")]
    [InlineData(ElementType.F16, CudaUnderTest.Checked)]
    [InlineData(ElementType.F16, "permute,seed=2")]
    public void The_same_seed_gives_the_same_bits(ElementType type, string mode)
    {
        byte[] Train(string device)
        {
            using TinyRunner tiny = Open(type, null, device);
            tiny.Steps(0, 8);
            tiny.Predictor.Logits(TinyRunner.Examples(8), 1);
            tiny.Steps(8, 4);
            return tiny.Bits();
        }

        Assert.Equal(Train(""), Train(mode));
    }

    [Theory]
    [InlineData(ElementType.F32, 2e-5)]
    [InlineData(ElementType.BF16, 3e-2)]
    [InlineData(ElementType.F16, 4e-3)]
    public void Losses_and_logits_are_those_of_the_CPU(ElementType type, double tolerance)
    {
        using TinyRunner cpu = new(new CpuBackend(1), _folder["cpu"]);
        using TinyRunner cuda = Open(type);
        double[] expected = cpu.Steps(0, 10); // with dropout: the masks are the same bits
        double[] losses = cuda.Steps(0, 10);
        for (int i = 0; i < losses.Length; i++)
        {
            Assert.Equal(expected[i], losses[i], tolerance * Math.Abs(expected[i]));
        }

        TrainingSet set = TinyRunner.Examples(8);
        float[] logits = cpu.Predictor.Logits(set, 1);
        float[] found = cuda.Predictor.Logits(set, 1);
        double largest = logits.Max(Math.Abs);
        for (int i = 0; i < logits.Length; i++)
        {
            Assert.Equal(logits[i], found[i], 4 * tolerance * largest);
        }
    }

    [Fact]
    public void A_loss_that_is_no_number_updates_nothing()
    {
        using TinyRunner tiny = Open(ElementType.F32, s => s with { LearningRate = 1e-2 });
        tiny.Steps(0, 6);
        byte[] before = tiny.Bits();
        int[] counts = tiny.Runner.Optimizer.UpdateCounts();
        Tensor weight = tiny.Runner.Optimizer.Parameters[^1].Value;
        float[] values = new float[weight.Count];
        tiny.Device.Download(values, weight);
        tiny.Device.Upload(weight, [float.NaN, .. values[1..]]);
        tiny.Runner.Optimizer.Parameters[^1].Block.Touch();
        Assert.False(double.IsFinite(tiny.Runner.Step(6, 1)));
        tiny.Device.Upload(weight, values);
        tiny.Runner.Optimizer.Parameters[^1].Block.Touch();
        Assert.Equal(before, tiny.Bits());
        Assert.Equal(counts, tiny.Runner.Optimizer.UpdateCounts());
        Assert.All(counts, c => Assert.True(c is 6 or 0)); // the bias of the prompt keys gets no gradient
        Assert.True(counts.Count(c => c == 6) >= counts.Length - 1);
        Assert.True(double.IsFinite(tiny.Runner.Step(7, 1)));
    }

    private TinyRunner Open(ElementType type, Func<TrainerSettings, TrainerSettings>? change = null, string mode = "") =>
        new(CudaUnderTest.Open(type, mode.Length == 0 ? null : mode), _folder["model"], change);
}
