using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Nn;
using Dvp.Prompting;
using Dvp.Tests.IO;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>Accumulation, early stop, best and last checkpoint, and losses that are no numbers.</summary>
public sealed class TrainerTests : IDisposable
{
    private const int Layer = 1;
    private static readonly TinyBert s_bert = new();
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Two_halves_of_a_batch_give_its_gradient()
    {
        string model = s_bert.Write(_folder["model"]);
        DvpConfig config = TinyDvp.Config(s_bert, Layer, adapters: false);
        TrainingSet set = TinyDvp.Examples(s_bert, 16, seed: 3);
        (Dictionary<string, float[]> whole, double loss) = Gradients(batch: 16, accumulation: 1);
        (Dictionary<string, float[]> halves, double sum) = Gradients(batch: 8, accumulation: 2);
        Assert.Equal(loss, sum, 1e-6);
        Assert.Equal(whole.Keys, halves.Keys);
        foreach ((string name, float[] gradient) in whole)
        {
            float scale = gradient.Max(MathF.Abs);
            Assert.All(gradient.Zip(halves[name]), pair => Assert.Equal(pair.First, pair.Second, 1e-6 * scale + 1e-12));
        }

        // One epoch is sixteen examples, so both took each example once.
        (Dictionary<string, float[]>, double) Gradients(int batch, int accumulation)
        {
            using ReferenceBackend device = new();
            using LoadedDvp loaded = TinyDvp.Create(model, config, device);
            TrainerSettings settings = new() { Steps = 1, Batch = batch, Accumulation = accumulation, Dropout = false };
            using StepRunner runner = new(loaded.Model, loaded.Parameters, set, settings, TinyDvp.Groups(config));
            Assert.Equal(16, runner.ExamplesPerStep);
            double total = runner.Step(0, Layer);
            return (loaded.Parameters.Trained.ToDictionary(p => p.Name, p => Floats(device, p)), total);
        }
    }

    [Fact]
    public void Without_progress_training_stops_early_and_stays_stopped()
    {
        using Backend device = new CpuBackend(1);
        string checkpoint = _folder["checkpoint"];
        using (LoadedDvp loaded = Create(device, out DvpConfig config))
        {
            // A rate of zero: no evaluation is ever better than the first.
            using Trainer trainer = Make(loaded, config, s => s with { LearningRate = 0, Patience = 2, EvaluateEvery = 3 });
            int best = 0;
            trainer.OnBest = () => best = trainer.State.Step;
            trainer.Train(Layer, checkpoint, TestContext.Current.CancellationToken);
            Assert.Equal(9, trainer.State.Step);
            Assert.Equal((3, 3), (trainer.State.BestStep, best));
            Assert.Equal([3, 6, 9], trainer.State.Accuracies.Select(a => a.Step));
        }

        using (LoadedDvp loaded = Create(device, out DvpConfig config))
        {
            using Trainer trainer = Make(loaded, config, s => s with { LearningRate = 0, Patience = 2, EvaluateEvery = 3 });
            Assert.True(trainer.TryResume(checkpoint));
            trainer.Train(Layer, checkpoint, TestContext.Current.CancellationToken);
            Assert.Equal(9, trainer.State.Step);
        }
    }

    [Fact]
    public void Best_and_last_are_both_kept()
    {
        using Backend device = new CpuBackend(1);
        using LoadedDvp loaded = Create(device, out DvpConfig config);
        using Trainer trainer = Make(loaded, config, s => s with { LearningRate = 3e-2, EvaluateEvery = 2 });
        Dictionary<string, float[]> atBest = [];
        trainer.OnBest = () =>
        {
            loaded.Save(_folder["best"]);
            atBest = loaded.Parameters.Trained.ToDictionary(p => p.Name, p => Floats(device, p));
        };
        trainer.Train(Layer, _folder["checkpoint"], TestContext.Current.CancellationToken);
        loaded.Save(_folder["last"]);
        Assert.Equal(trainer.State.Accuracies.Max(a => a.Value), trainer.State.BestAccuracy);
        Assert.Equal(trainer.State.BestStep, trainer.State.Accuracies.First(a => a.Value == trainer.State.BestAccuracy).Step);
        Assert.Equal(trainer.State.Accuracies[^1].Value, trainer.Predictor.Accuracy(Validation(), Layer));

        using LoadedDvp best = LoadedDvp.Load(_folder["model"], _folder["best"], device);
        Assert.All(atBest, p => Assert.Equal(p.Value, Floats(device, best.Parameters[p.Key])));
        Assert.Equal(trainer.State.BestAccuracy, Accuracy(best));
        using LoadedDvp last = LoadedDvp.Load(_folder["model"], _folder["last"], device);
        Assert.Equal(trainer.State.Accuracies[^1].Value, Accuracy(last));

        // What was loaded for answering only is saved whole again, the language model's trained norms included.
        last.Save(_folder["again"]);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(_folder["last"], "dvp.safetensors")),
            File.ReadAllBytes(Path.Combine(_folder["again"], "dvp.safetensors")));

        double Accuracy(LoadedDvp model)
        {
            using StepGraphs graphs = new(model.Model, device, TinyDvp.VisualTokens);
            return new Predictor(model.Model, graphs).Accuracy(Validation(), Layer);
        }
    }

    [Fact]
    public void A_loss_that_is_no_number_ends_the_run_and_leaves_the_checkpoint()
    {
        using Backend device = new CpuBackend(1);
        using LoadedDvp loaded = Create(device, out DvpConfig config);
        string checkpoint = _folder["checkpoint"];
        using (Trainer trainer = Make(loaded, config, s => s with { Steps = 3 }))
        {
            trainer.Train(Layer, checkpoint, TestContext.Current.CancellationToken);
        }

        byte[] saved = File.ReadAllBytes(Path.Combine(checkpoint, "state.safetensors"));
        Parameter head = loaded.Parameters["head.3.bias"];
        device.Upload(head.Value, [float.NaN, 0, 0, 0]);
        using (Trainer trainer = Make(loaded, config, s => s))
        {
            Expect.Error(
                "The loss of step 1 is no number; lower the learning rate",
                () => trainer.Train(Layer, checkpoint, TestContext.Current.CancellationToken));
        }

        // Nothing was updated with gradients that are no numbers.
        Assert.All(loaded.Parameters.All.Where(p => p != head), p => Assert.All(Floats(device, p), v => Assert.True(float.IsFinite(v))));

        // A weight that overflows in the last step shows in no loss of this run; it is not saved either.
        device.Upload(head.Value, (float[])[0, 0, 0, 0]);
        using (Trainer trainer = Make(loaded, config, s => s with { Steps = 1, Warmup = 0, LearningRate = 3e38 }))
        {
            Expect.Error("no number at step 1", () => trainer.Train(Layer, checkpoint, TestContext.Current.CancellationToken));
        }

        Assert.Equal(saved, File.ReadAllBytes(Path.Combine(checkpoint, "state.safetensors")));
    }

    [Fact]
    public void Progress_is_reported_with_pace_and_remaining_time()
    {
        using Backend device = new CpuBackend(1);
        using LoadedDvp loaded = Create(device, out DvpConfig config);
        using Trainer trainer = Make(loaded, config, s => s with { EvaluateEvery = 6 });
        List<TrainingProgress> reports = [];
        trainer.OnProgress = reports.Add;
        trainer.Train(Layer, null, TestContext.Current.CancellationToken);
        Assert.Equal([6, 10, 12], reports.Select(r => r.Step));
        Assert.Equal([true, false, true], reports.Select(r => r.Accuracy is not null));
        Assert.Equal(trainer.State.Losses.Skip(6).Take(4).Average(l => l.Value), reports[1].Loss, 1e-12);
        Assert.All(reports, r => Assert.True(r.SamplesPerSecond > 0 && double.IsFinite(r.Loss)));
        Assert.Equal(TimeSpan.Zero, reports[^1].Remaining);
    }

    private LoadedDvp Create(Backend device, out DvpConfig config)
    {
        config = TinyDvp.Config(s_bert, Layer, adapters: true);
        return TinyDvp.Create(s_bert.Write(_folder["model"]), config, device);
    }

    private static TrainingSet Validation() => TinyDvp.Examples(s_bert, 11, seed: 4);

    private static Trainer Make(LoadedDvp loaded, DvpConfig config, Func<TrainerSettings, TrainerSettings> settings) => new(
        loaded.Model, loaded.Parameters, TinyDvp.Examples(s_bert, 24, seed: 3), Validation(),
        settings(new TrainerSettings { Steps = 12, Batch = 8, LearningRate = 1e-3 }), TinyDvp.Groups(config));

    private static float[] Floats(Backend device, Parameter parameter) =>
        device.Floats(parameter.Trains && device is ReferenceBackend ? parameter.Gradient! : parameter.Value);
}
