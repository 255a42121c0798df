using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.IO;
using Dvp.Engine.Optim;
using Dvp.Prompting;
using Dvp.Search;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>
/// Training runs of the authors' own code, replayed with the recorded steps and the optimiser that the trainer uses: rates and losses of
/// every step, and every tensor that training changed after the last.
/// </summary>
public abstract class GoldenTrainingTests(Func<Backend> open)
{
    private static readonly string[] s_training =
    [
        "optim/train-bert-adapter", "optim/train-bert-full", "optim/train-llama-adapter", "optim/train-t5-adapter-published",
        "optim/train-t5-adapter-shared",
    ];

    private static readonly string[] s_search = ["kab-app/search-bert-skipped", "kab-app/search-bert-zeroed"];

    public static TheoryData<string> Training => new(s_training);

    public static TheoryData<string> Search => new(s_search);

    [Fact]
    public void No_run_is_left_out() => Assert.Equal(
        s_training.Concat(s_search).Order(StringComparer.Ordinal),
        Fixtures.Cases("optim").Concat(Fixtures.Cases("kab-app")).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Training))]
    public void Five_training_steps(string name)
    {
        using Run run = new(open(), Fixtures.Path(name), MissingGradient.Skipped);
        CompareRule losses = run.Rules.Find("losses")!;
        int layer = run.Loaded.Model.Config.Layer!.Value;
        JsonElement[] steps = run.Steps;
        LearningRateSchedule schedule = LearningRateSchedule.Polynomial(
            run.Settings.GetProperty("learning_rate").GetDouble(), steps.Length,
            LearningRateSchedule.WarmupSteps(run.Settings.GetProperty("warmup_steps").GetDouble(), steps.Length));
        for (int s = 0; s < steps.Length; s++)
        {
            Assert.Equal(steps[s].GetProperty("learning_rate").GetDouble(), schedule.At(s), 1e-15);
            double loss = run.Train(s, layer, schedule.At(s));
            Close(steps[s].GetProperty("loss").GetDouble(), loss, losses);
        }

        Assert.Equal(5, steps.Length);
        run.CompareTrained();
    }

    [Theory]
    [MemberData(nameof(Search))]
    public void Whole_search_steps(string name)
    {
        bool zeroed = name.EndsWith("zeroed", StringComparison.Ordinal);
        using Run run = new(open(), Fixtures.Path(name), zeroed ? MissingGradient.Zeroed : MissingGradient.Skipped);
        CompareRule losses = run.Rules.Find("losses")!;
        KabApp search = new(run.Loaded.Model.Candidates.Count);
        Predictor predictor = new(run.Loaded.Model, run.Graphs);
        JsonElement[] steps = run.Steps;
        for (int s = 0; s < steps.Length; s++)
        {
            JsonElement step = steps[s];
            double loss = run.Train(s, step.GetProperty("K").GetInt32(), step.GetProperty("learning_rate").GetDouble());
            Close(step.GetProperty("train_loss").GetDouble(), loss, losses);

            int[] arms = [.. step.GetProperty("arms").EnumerateArray().Select(a => a.GetInt32())];
            double[] scores = new double[arms.Length];
            TrainingSet validation = run.Batches.Examples($"validation.{s}.");
            predictor.ScoreLayers(validation, [.. Enumerable.Range(0, validation.Count)], arms, scores);
            CloseAll(step.GetProperty("scores"), scores, 1e-4);
            double[] expected = Numbers(step.GetProperty("losses"));
            for (int j = 0; j < arms.Length; j++)
            {
                Close(expected[j], run.ValidationLoss(s, arms[j]), losses);
            }

            search.Update(arms, scores);
            CloseAll(step.GetProperty("rewards"), search.LastStep!.Rewards, 1e-4);
            CloseAll(step.GetProperty("weights"), search.LastStep.Weights, 1e-6);
            CloseAll(step.GetProperty("alpha_after"), search.Preferences, 1e-6);
        }

        Assert.Equal(5, steps.Length);
        run.CompareTrained();
    }

    private static void Close(double expected, double actual, CompareRule rule) => Assert.True(
        Math.Abs(expected - actual) <= rule.AbsoluteTolerance + (rule.RelativeTolerance * Math.Abs(expected)),
        $"{actual:R}, expected {expected:R}");

    private static void CloseAll(JsonElement expected, double[] actual, double tolerance)
    {
        double[] numbers = Numbers(expected);
        Assert.Equal(numbers.Length, actual.Length);
        for (int i = 0; i < numbers.Length; i++)
        {
            Assert.Equal(numbers[i], actual[i], tolerance);
        }
    }

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetDouble())];

    /// <summary>A model of a golden folder with its optimiser.</summary>
    private sealed class Run : IDisposable
    {
        private readonly Backend _device;
        private readonly string _folder;
        private readonly JsonDocument _case;
        private readonly JsonDocument _steps;
        private readonly AdamWOptimizer _optimizer;

        public Run(Backend device, string folder, MissingGradient missing)
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
            Graphs = new StepGraphs(Loaded.Model, device, Batches.Sizes("train.0.").VisualTokens);
            _optimizer = new AdamWOptimizer(Loaded.Parameters, new AdamWSettings { MissingGradient = missing }, parameter =>
            {
                ParameterGroup group = groups.Of(parameter, Loaded.Parameters[parameter].Value.Shape.Length);
                return (group.RateMultiplier, group.Decay);
            });
        }

        public JsonElement[] Steps { get; }

        public JsonElement Settings => _case.RootElement.GetProperty("settings");

        public CompareRules Rules { get; }

        public GoldenBatches Batches { get; }

        public LoadedDvp Loaded { get; }

        public StepGraphs Graphs { get; }

        private static bool IsPooler(string name) => name.StartsWith("pooler.", StringComparison.Ordinal);

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
            TensorArchive expected = TensorArchive.Load(Path.Combine(_folder, "expected.safetensors"));
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
            Graphs.Dispose();
            Loaded.Dispose();
            _device.Dispose();
            _case.Dispose();
            _steps.Dispose();
        }
    }
}

/// <summary>In double precision: graphs, optimiser and search are right.</summary>
public sealed class ReferenceGoldenTrainingTests() : GoldenTrainingTests(() => new ReferenceBackend());

/// <summary>On the processor.</summary>
public sealed class CpuGoldenTrainingTests() : GoldenTrainingTests(() => new CpuBackend());
