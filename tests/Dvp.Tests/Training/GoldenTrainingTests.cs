using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.IO;
using Dvp.Engine.Optim;
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
        using GoldenRun run = new(open(), Fixtures.Path(name), MissingGradient.Skipped);
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
        using GoldenRun run = new(open(), Fixtures.Path(name), zeroed ? MissingGradient.Zeroed : MissingGradient.Skipped);
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
}

/// <summary>In double precision: graphs, optimiser and search are right.</summary>
public sealed class ReferenceGoldenTrainingTests() : GoldenTrainingTests(() => new ReferenceBackend());

/// <summary>On the processor.</summary>
public sealed class CpuGoldenTrainingTests() : GoldenTrainingTests(() => new CpuBackend());
