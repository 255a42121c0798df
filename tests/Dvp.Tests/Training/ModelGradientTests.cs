using Dvp.Engine;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Prompting;
using Dvp.Tests.IO;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>
/// Gradients of whole small models, through the very steps that the trainer records, against central differences in double precision: every
/// trainable tensor along a random direction that moves all of its elements, and along some elements alone.
/// </summary>
public sealed class ModelGradientTests : IDisposable
{
    private const double Step = 1e-5;
    private const double Tolerance = 1e-7;
    private const int ElementsOfEach = 2;
    private static readonly Dictionary<string, TinyModel> s_models = new(StringComparer.Ordinal)
    {
        ["bert"] = new TinyBert(),
        ["t5"] = new TinyT5 { Layers = 2, Channels = 6 },
        ["gated t5, positions in layer 0 only"] = new TinyT5 { Layers = 2, Channels = 6, Gated = true },
        ["llama"] = new TinyLlama { Layers = 2, Channels = 6 },
    };

    private readonly TemporaryFolder _folder = new();
    private readonly ReferenceBackend _device = new();

    public static TheoryData<string, PromptKind, int, bool, bool> Models
    {
        get
        {
            TheoryData<string, PromptKind, int, bool, bool> all = [];
            foreach ((string model, TinyModel sizes) in s_models)
            {
                foreach (bool adapters in (bool[])[true, false])
                {
                    foreach (bool dropout in (bool[])[false, true])
                    {
                        for (int layer = 0; layer < sizes.Layers; layer++)
                        {
                            all.Add(model, PromptKind.Dynamic, layer, adapters, dropout);
                        }

                        all.Add(model, PromptKind.None, 0, adapters, dropout);
                        all.Add(model, PromptKind.AllTokens, 1, adapters, dropout);
                        all.Add(model, PromptKind.MeanPooled, sizes.Layers - 1, adapters, dropout);
                    }
                }
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Gradients_are_those_of_the_loss(string model, PromptKind kind, int layer, bool adapters, bool dropout)
    {
        DvpLoss loss = layer == 1 ? DvpLoss.CrossEntropy : DvpLoss.BinaryCrossEntropy;
        TinyModel tiny = s_models[model];
        DvpConfig config = TinyDvp.Config(tiny, layer, adapters, kind, loss) with
        {
            PositionBias = model.Contains("only", StringComparison.Ordinal) ? T5PositionBias.FirstLayerOnly : T5PositionBias.Shared,
        };
        using LoadedDvp loaded = TinyDvp.Create(tiny.Write(_folder["model"]), config, _device);
        SeededRandom random = new(77);
        foreach (Parameter parameter in loaded.Parameters.Trained.Where(p => p.Name.Contains("adapters.", StringComparison.Ordinal)))
        {
            // Far from the initial N(0, 0.01): there a difference would step over the corner of ReLU.
            _device.Upload(parameter.Value, (double[])[.. Values(parameter.Value).Select(_ => 0.5 * random.NextNormal())]);
        }

        using StepGraphs graphs = new(loaded.Model, _device, TinyDvp.VisualTokens);
        TrainingSet set = TinyDvp.Examples(tiny, 3, seed: 8);
        BatchBuffers buffers = new(set, loaded.Model);
        int[] examples = [2, 0, 1];
        TrainingStep step = graphs.Training(buffers.Shape(examples, examples.Length, share: false), layer, dropout, scale: 0.5f);
        _device.Upload(graphs.DropoutState, (int[])[9, 0, 4, 0]);
        buffers.Upload(_device, examples, step.Inputs, graphs.PromptTokens);
        loaded.Parameters.ZeroGradients();
        step.Graph.RunForward();
        step.Graph.RunBackward();

        int compared = 0;
        foreach (Parameter parameter in loaded.Parameters.Trained)
        {
            double[] at = Values(parameter.Value);
            double[] gradient = Values(parameter.Gradient!);
            double norm = Math.Sqrt(gradient.Sum(g => g * g));
            double[] direction = [.. at.Select(_ => random.NextNormal())];
            double length = Math.Sqrt(direction.Sum(d => d * d));
            Compare(parameter, at, gradient, [.. direction.Select(d => d / length)], norm);
            for (int i = 0; i < ElementsOfEach; i++)
            {
                double[] one = new double[at.Length];
                one[random.NextInt(at.Length)] = 1;
                Compare(parameter, at, gradient, one, norm);
            }

            compared++;
        }

        Assert.True(compared > 20, $"only {compared} tensors");

        void Compare(Parameter parameter, double[] at, double[] gradient, double[] along, double norm)
        {
            double analytic = gradient.Zip(along, (g, d) => g * d).Sum();
            double difference = (LossAt(Step) - LossAt(-Step)) / (2 * Step);
            Assert.True(
                Math.Abs(analytic - difference) <= Tolerance * (1 + norm),
                $"{parameter.Name}: gradient {analytic:R}, difference {difference:R}, norm {norm:R}");

            double LossAt(double by)
            {
                _device.Upload(parameter.Value, (double[])[.. at.Zip(along, (v, d) => v + (by * d))]);
                step.Graph.RunForward();
                _device.Upload(parameter.Value, at);
                return Values(step.Loss)[0];
            }
        }
    }

    public void Dispose()
    {
        _device.Dispose();
        _folder.Dispose();
    }

    private double[] Values(Tensor tensor)
    {
        double[] values = new double[tensor.Count];
        _device.Download(values, tensor);
        return values;
    }
}
