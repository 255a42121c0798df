using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Prompting;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>A model of a golden folder with its optimiser.</summary>
internal sealed class GoldenRun : IDisposable
{
    /// <summary>The loss scale of f16. Gradients have norms of up to 16 in the runs: with this factor they stay inside f16.</summary>
    public const float Scale = 1024;

    private readonly Backend _device;
    private readonly string _folder;
    private readonly JsonDocument _case;
    private readonly JsonDocument _steps;
    private readonly AdamWOptimizer _optimizer;
    private readonly Arena? _scaling;
    private readonly Tensor? _scaleState;

    public GoldenRun(Backend device, string folder, MissingGradient missing)
    {
        _device = device;
        _folder = folder;
        _case = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "case.json")));
        _steps = GoldenBatches.Steps(folder);
        Steps = [.. _steps.RootElement.EnumerateArray()];
        Rules = CompareRules.Load(Path.Combine(folder, "case.json"));
        Batches = new GoldenBatches(folder);
        DvpConfig config = DvpConfig.Load(folder);
        TrainingMode mode = config.SearchLayers is not null ? TrainingMode.Search
            : config.Adapters is null ? TrainingMode.Full : TrainingMode.Adapter;
        ParameterGroups groups = new(mode, config.Adapters is not null)
        {
            HeadMultiplier = (float)Math.Round(
                Steps[^1].GetProperty("head_learning_rate").GetDouble() / Steps[^1].GetProperty("learning_rate").GetDouble(), 6),
            WeightDecay = Settings.TryGetProperty("weight_decay", out JsonElement decay) ? decay.GetSingle() : 0.01f,
        };
        Loaded = LoadedDvp.Load(Path.Combine(folder, "model"), folder, device, new LoadOptions { Groups = groups });
        LossScaler? scaler = null;
        if (device.ActivationType == ElementType.F16)
        {
            _scaling = new Arena(device, 4096);
            _scaleState = _scaling.Allocate(device.AccumulationType, LossScaler.Numbers);
            scaler = new LossScaler(device, new LossScaleSettings { Initial = Scale }, _scaleState);
        }

        Graphs = new StepGraphs(Loaded.Model, device, Batches.Sizes("train.0.").VisualTokens, scaler?.Scale);
        _optimizer = new AdamWOptimizer(Loaded.Parameters, new AdamWSettings { MissingGradient = missing }, parameter =>
        {
            ParameterGroup group = groups.Of(parameter, Loaded.Parameters[parameter].Value.Shape.Length);
            return (group.RateMultiplier, group.Decay);
        }, scaler: scaler);
    }

    public JsonElement[] Steps { get; }

    public JsonElement Settings => _case.RootElement.GetProperty("settings");

    public CompareRules Rules { get; }

    public GoldenBatches Batches { get; }

    public LoadedDvp Loaded { get; }

    public StepGraphs Graphs { get; }

    public static bool IsPooler(string name) => name.StartsWith("pooler.", StringComparison.Ordinal);

    /// <summary>The loss scale after the last step; only in f16.</summary>
    public LossScaleState LossScale
    {
        get
        {
            float[] numbers = new float[LossScaler.Numbers];
            _device.Download(numbers, _scaleState!);
            return LossScaler.Read(numbers);
        }
    }

    /// <summary>The values of the published code after the last step.</summary>
    public TensorArchive Expected => TensorArchive.Load(Path.Combine(_folder, "expected.safetensors"));

    /// <summary>One optimiser step; the loss before it.</summary>
    public double Train(int s, int layer, double rate)
    {
        (int batch, int length, _) = Batches.Sizes($"train.{s}.");
        TrainingStep step = Graphs.Training(new StepShape(batch, length), layer, dropout: false, scale: 1);
        Batches.Upload(_device, $"train.{s}.", step.Inputs, Loaded.Model.EndToken);
        Loaded.Parameters.ZeroGradients();
        step.Graph.RunForward();
        step.Graph.RunBackward();
        float[] loss = new float[1];
        _device.Download(loss, step.Loss);
        _optimizer.Step((float)rate, step.Graph.Trained);
        return loss[0];
    }

    /// <summary>The loss of a layer on the validation batch of a step, from the logits.</summary>
    public double ValidationLoss(int s, int layer)
    {
        (int batch, int length, _) = Batches.Sizes($"validation.{s}.");
        InferenceStep step = Graphs.Inference(new StepShape(batch, length), layer);
        Batches.Upload(_device, $"validation.{s}.", step.Inputs);
        step.Work.Run();
        float[] logits = new float[step.Outputs.Logits.Value.Count];
        _device.Download(logits, step.Outputs.Logits.Value);
        float[] targets = Batches.Targets($"validation.{s}.");
        double sum = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            sum += Scalar.SoftPlus(logits[i]) - ((double)logits[i] * targets[i]);
        }

        return sum / batch;
    }

    /// <summary>Every tensor that the published training changed, at the tolerance of the case.</summary>
    public void CompareTrained()
    {
        TensorArchive expected = Expected;
        TensorArchive actual = GoldenBatches.Trained(Loaded.Parameters);
        AssertPoolerUnused(expected);
        TensorDiffReport report = TensorDiff.Compare(actual, expected, Rules, n => expected.Contains(n) && !IsPooler(n));
        Assert.True(report.Passed, report.ToString());
        Assert.Equal(expected.Names.Count(n => !IsPooler(n)), report.Tensors.Count);
    }

    /// <summary>The published code keeps a pooler that nothing reads and no step moves; the library does not load it.</summary>
    private void AssertPoolerUnused(TensorArchive expected)
    {
        TensorArchive model = TensorArchive.Load(Path.Combine(_folder, "model", "model.safetensors"));
        foreach (string name in expected.Names.Where(IsPooler))
        {
            Assert.Equal(model.Floats(name), expected.Floats(name));
        }
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        _scaling?.Dispose();
        Graphs.Dispose();
        Loaded.Dispose();
        _device.Dispose();
        _case.Dispose();
        _steps.Dispose();
    }
}
