using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Prompting;
using Dvp.Tests.Cuda;
using Dvp.Tests.IO;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>Training that computes layers again in the backward pass: the same bits, in the memory of one layer.</summary>
public sealed class RecomputedLayerTests : IDisposable
{
    private static readonly Dictionary<string, TinyModel> s_models = new(StringComparer.Ordinal)
    {
        ["bert"] = new TinyBert { Layers = 4 },
        ["t5"] = new TinyT5 { Layers = 4 },
        ["gated t5"] = new TinyT5 { Gated = true },
        ["llama"] = new TinyLlama { Layers = 4 },
    };

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, PromptKind, int, bool, bool> Models
    {
        get
        {
            TheoryData<string, PromptKind, int, bool, bool> all = [];
            foreach ((string model, TinyModel sizes) in s_models)
            {
                foreach (bool adapters in (bool[])[true, false])
                {
                    foreach (bool dropout in (bool[])[true, false])
                    {
                        for (int layer = 0; layer < sizes.Layers; layer++)
                        {
                            all.Add(model, PromptKind.Dynamic, layer, adapters, dropout);
                        }

                        all.Add(model, PromptKind.None, 0, adapters, dropout);
                        all.Add(model, PromptKind.AllTokens, 1, adapters, dropout);
                    }
                }
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Loss_and_gradients_have_the_same_bits(string model, PromptKind kind, int layer, bool adapters, bool dropout)
    {
        TinyModel tiny = s_models[model];
        string folder = tiny.Write(_folder["model"]);
        using CpuBackend device = new(1);
        DvpConfig config = TinyDvp.Config(tiny, layer, adapters, kind);
        Dictionary<string, float[]> expected = Gradients(device, tiny, folder, config, layer, dropout, recompute: false);
        Dictionary<string, float[]> found = Gradients(device, tiny, folder, config, layer, dropout, recompute: true);
        Assert.Equal(expected, found);
        Assert.True(expected.Count > 20);
        Assert.True(expected.Values.Count(g => g.Any(v => v != 0)) > expected.Count / 2, "most gradients should not be zero");
    }

    [Theory]
    [InlineData("bert", 3)]
    [InlineData("t5", 2)] // most of it is in an encoder of two layers
    [InlineData("llama", 3)]
    public void Memory_is_that_of_one_layer(string family, int factor)
    {
        const int layers = 12;
        TinyModel tiny = family switch
        {
            "t5" => new TinyT5 { Layers = layers, Channels = 64, Intermediate = 256 },
            "llama" => new TinyLlama { Layers = layers, Channels = 64, Intermediate = 256 },
            _ => new TinyBert { Layers = layers, Channels = 64, Intermediate = 256, Positions = 32 },
        };
        string folder = tiny.Write(_folder["model"]);
        using CpuBackend device = new(1);
        using LoadedDvp loaded = TinyDvp.Create(folder, TinyDvp.Config(tiny, layer: 0, adapters: true), device);
        StepShape shape = new(192, 16);
        long Bytes(bool recompute)
        {
            using StepGraphs graphs = new(loaded.Model, device, TinyDvp.VisualTokens, recomputeLayers: recompute);
            graphs.Training(shape, layer: 0, dropout: true, scale: 1);
            return graphs.TrainingBytes;
        }

        (long kept, long recomputed) = (Bytes(recompute: false), Bytes(recompute: true));
        Assert.True(recomputed * factor < kept, $"{kept} bytes with all layers kept, {recomputed} with one at a time");
    }

    [Fact]
    public void A_run_with_many_lengths_and_layers_ends_with_the_same_bits()
    {
        byte[] Train(bool recompute)
        {
            using TinyRunner tiny = new(
                new CpuBackend(2), _folder["model"], s => s with { RecomputeLayers = recompute, Accumulation = 2 });
            tiny.Steps(0, 10);
            tiny.Predictor.Logits(TinyRunner.Examples(8), 1);
            tiny.Steps(10, 10);
            return tiny.Bits();
        }

        Assert.Equal(Train(recompute: false), Train(recompute: true));
    }

    [Fact]
    public void A_run_may_go_on_the_other_way()
    {
        TrainerSettings settings = new() { Steps = 10 };
        Assert.Equal(settings.Identity(), (settings with { RecomputeLayers = true }).Identity());
    }

    [Requires(Capability.KernelHost)]
    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.BF16)]
    public void On_CUDA_a_steady_step_is_one_graph_with_the_same_bits(ElementType type)
    {
        byte[] Train(bool recompute)
        {
            using TinyRunner tiny = new(CudaUnderTest.Open(type), _folder["model"], s => s with { RecomputeLayers = recompute });
            CudaBackend device = (CudaBackend)tiny.Device;
            tiny.Steps(0, 16);
            (long graphs, long memory) = (device.Counters.GraphLaunches, device.Counters.BytesAllocated);
            long managed = GC.GetAllocatedBytesForCurrentThread();
            for (int step = 16; step < 20; step++)
            {
                tiny.Runner.Step(step, 1);
            }

            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - managed);
            Assert.Equal(4, device.Counters.GraphLaunches - graphs);
            Assert.Equal(0, device.Counters.BytesAllocated - memory);
            return tiny.Bits();
        }

        Assert.Equal(Train(recompute: false), Train(recompute: true));
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>The loss and all gradients of one step, by name.</summary>
    private static Dictionary<string, float[]> Gradients(
        Backend device, TinyModel tiny, string folder, DvpConfig config, int layer, bool dropout, bool recompute)
    {
        using LoadedDvp loaded = TinyDvp.Create(folder, config, device);
        using StepGraphs graphs = new(loaded.Model, device, TinyDvp.VisualTokens, recomputeLayers: recompute);
        TrainingSet set = TinyDvp.Examples(tiny, 5, seed: 8);
        BatchBuffers buffers = new(set, loaded.Model);
        int[] examples = [2, 0, 1, 4, 3];
        TrainingStep step = graphs.Training(buffers.Shape(examples, examples.Length, share: !dropout), layer, dropout, scale: 0.5f);
        device.Upload(graphs.DropoutState, (int[])[9, 0, 4, 0]);
        buffers.Upload(device, examples, step.Inputs, graphs.PromptTokens);
        loaded.Parameters.ZeroGradients();
        step.Graph.RunForward();
        step.Graph.RunBackward();
        Dictionary<string, float[]> all = new(StringComparer.Ordinal) { ["loss"] = Values(step.Loss) };
        foreach (Parameter parameter in loaded.Parameters.Trained)
        {
            all.Add(parameter.Name, Values(parameter.Gradient!));
        }

        return all;

        float[] Values(Tensor tensor)
        {
            float[] values = new float[tensor.Count];
            device.Download(values, tensor);
            return values;
        }
    }
}
