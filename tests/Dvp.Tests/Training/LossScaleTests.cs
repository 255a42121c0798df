using System.Text.Json.Nodes;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Prompting;
using Dvp.Tests.Cuda;
using Dvp.Tests.IO;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>The dynamic loss scale of a device whose activations are f16.</summary>
public abstract class LossScaleTests(Func<Backend> open) : IDisposable
{
    private const int Layer = 1;
    private const float TooLarge = 1 << 24; // the gradient of the logits is then beyond 65504
    private const float First = 1 << 20; // of a run: too large as well
    private static readonly TinyBert s_bert = new() { Channels = 16, Heads = 2, Intermediate = 32, Layers = 2, Positions = 8 };
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Gradients_that_overflow_halve_the_scale_and_change_nothing_else(int accumulation)
    {
        using TinyRunner cpu = new(new CpuBackend(1), _folder["model"], s => s with { Accumulation = accumulation });
        using TinyRunner tiny = Open(s => s with
        {
            Accumulation = accumulation,
            LossScale = new LossScaleSettings { Initial = TooLarge },
        });
        (byte[] values, float[] moments) = (tiny.Bits(), Moments(tiny));
        double expected = cpu.Steps(0, 1)[0];
        int step = 0;
        for (float scale = TooLarge; ; step++)
        {
            double loss = tiny.Runner.Step(step, Layer);
            Assert.True(step > 0 || Math.Abs(loss - expected) < 4e-3 * expected, $"{loss}, expected {expected}: a loss is not scaled");
            LossScaleState state = tiny.Runner.LossScale!.Value;
            if (!tiny.Runner.Skipped)
            {
                Assert.Equal(new LossScaleState(scale, 1, step), state);
                Assert.True(double.IsFinite(tiny.Runner.GradientNorm));
                break;
            }

            Assert.False(double.IsFinite(tiny.Runner.GradientNorm));
            Assert.Equal(new LossScaleState(scale /= 2, 0, step + 1), state);
            Assert.Equal(values, tiny.Bits());
            Assert.Equal(moments, Moments(tiny));
            Assert.All(tiny.Runner.Optimizer.UpdateCounts(), c => Assert.Equal(0, c));
        }

        Assert.InRange(step, 1, 20);
        Assert.NotEqual(values, tiny.Bits());
    }

    [Fact]
    public void The_scale_doubles_after_so_many_good_steps()
    {
        using TinyRunner tiny = Open(s => s with
        {
            LossScale = new LossScaleSettings { Initial = 8, Interval = 3, Largest = 16 },
        });
        LossScaleState[] states = [.. Enumerable.Range(0, 7).Select(s =>
        {
            tiny.Runner.Step(s, Layer);
            return tiny.Runner.LossScale!.Value;
        })];
        Assert.Equal([8, 8, 16, 16, 16, 16, 16], states.Select(s => s.Scale));
        Assert.Equal([1, 2, 0, 1, 2, 0, 1], states.Select(s => s.GoodSteps));
        Assert.All(states, s => Assert.Equal(0, s.SkippedSteps));
    }

    [Fact]
    public void Two_halves_of_a_batch_give_its_gradient_under_a_scale()
    {
        TrainingSet examples = TinyRunner.Examples(16);
        using TinyRunner whole = Open(s => s with { Batch = 16, Dropout = false }, examples);
        using TinyRunner halves = Open(s => s with { Batch = 8, Accumulation = 2, Dropout = false }, examples);
        using TinyRunner cpu = new(new CpuBackend(1), _folder["model"], s => s with { Batch = 16, Dropout = false }, examples);
        double loss = cpu.Runner.Step(0, Layer), norm = cpu.Runner.GradientNorm;
        foreach (TinyRunner tiny in (TinyRunner[])[whole, halves])
        {
            Assert.Equal(loss, tiny.Runner.Step(0, Layer), 4e-3 * loss);
            Assert.Equal(norm, tiny.Runner.GradientNorm, 1e-2 * norm);
        }

        // The same numbers are rounded in both, so the same ReLUs are open.
        Assert.All(Errors(halves, whole), e => Assert.True(e.Error < 0.01, $"{e.Name} is off by {e.Error:0.0e+0}"));
    }

    [Fact]
    public void Small_gradients_train_under_a_scale_and_are_lost_without()
    {
        // The head's last weights are so small, and stay so, that what they pass down is below the smallest f16 number. AdamW divides by the
        // size of a gradient, so in f32 everything trains all the same.
        TinyRunner Start(Backend device, LossScaleSettings? scale)
        {
            TinyRunner tiny = new(device, _folder["model"], s => s with
            {
                LossScale = scale,
                Dropout = false,
                AdamW = s.AdamW with { Epsilon = 1e-14f },
            }, head: 0);
            Parameter last = tiny.Runner.Optimizer.Parameters.Single(p => p.Name == "head.3.weight");
            float[] values = device.Floats(last.Value);
            device.Upload(last.Value, Array.ConvertAll(values, v => MathF.ScaleB(v, -14)));
            last.Block.Touch();
            return tiny;
        }

        using TinyRunner exact = Start(new CpuBackend(1), null);
        using TinyRunner scaled = Start(open(), new LossScaleSettings());
        using TinyRunner lost = Start(open(), null);
        Dictionary<string, float[]> start = Trained(exact);
        (double Scaled, double Lost) gradients = default;
        for (int step = 0; step < 6; step++)
        {
            foreach (TinyRunner tiny in (TinyRunner[])[exact, scaled, lost])
            {
                tiny.Runner.Step(step, Layer);
            }

            if (step == 0)
            {
                gradients = (Median(BelowHead(Errors(scaled, exact))), Median(BelowHead(Errors(lost, exact))));
            }
        }

        (double Scaled, double Lost) movements = (Median(BelowHead(Movements(scaled))), Median(BelowHead(Movements(lost))));
        TestContext.Current.TestOutputHelper?.WriteLine($"gradients {gradients}, movements {movements}");
        Assert.Equal(0, scaled.Runner.LossScale!.Value.SkippedSteps);
        Assert.InRange(gradients.Scaled, 0, 0.05);
        Assert.InRange(gradients.Lost, 0.5, 10);
        Assert.InRange(movements.Scaled, 0, 0.2);
        Assert.InRange(movements.Lost, 0.5, 10);

        // How far the trained values are from those of f32, relative to the way that these went.
        IEnumerable<(string Name, double Error)> Movements(TinyRunner of) => Trained(of).Zip(Trained(exact))
            .Where(p => Distance(p.Second.Value, start[p.Second.Key]) > 0)
            .Select(p => (p.First.Key, Distance(p.First.Value, p.Second.Value) / Distance(p.Second.Value, start[p.Second.Key])));
    }

    [Fact]
    public void A_run_that_is_stopped_after_every_step_ends_with_the_same_bits()
    {
        const int Steps = 8;
        s_bert.Write(_folder["model"]);
        (byte[] whole, LossScaleState state) = Train("whole", Steps, sittings: 1);
        (byte[] stopped, LossScaleState resumed) = Train("stopped", Steps, sittings: Steps);
        Assert.Equal(state, resumed);
        Assert.True(state is { SkippedSteps: > 0, Scale: > 1 });
        Assert.Equal(whole, stopped);
        Assert.Equal(Json("whole"), Json("stopped"));

        string Json(string name)
        {
            JsonObject json = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder[name], "state.json")))!.AsObject();
            json.Remove("seconds");
            return json.ToJsonString();
        }
    }

    [Fact]
    public void Checkpoints_from_before_there_was_a_scale_are_resumed_and_damaged_ones_refused()
    {
        s_bert.Write(_folder["model"]);
        Train("run", steps: 4, sittings: 1);
        string file = Path.Combine(_folder["run"], "state.json");
        string good = File.ReadAllText(file);
        Edit(scaler => scaler["scale"] = -1);
        Refuse("scale");
        Edit(scaler => scaler["good_steps"] = -1);
        Refuse("good_steps");
        Edit(scaler => scaler.Remove("skipped_steps"));
        Refuse("skipped_steps");
        JsonObject json = JsonNode.Parse(good)!.AsObject();
        Assert.True(json.Remove("scaler"));
        json["step"] = 3;
        File.WriteAllText(file, json.ToJsonString());
        (_, LossScaleState state) = Train("run", steps: 4, sittings: 1);
        Assert.Equal(new LossScaleState(First / 2, 0, 1), state); // the one step that was left began with the first scale
        Expect.Error("loss scale", () => Train("run", steps: 4, sittings: 1, new LossScaleSettings { Initial = 2 }));

        void Edit(Action<JsonObject> change)
        {
            JsonObject whole = JsonNode.Parse(good)!.AsObject();
            change(whole["scaler"]!.AsObject());
            File.WriteAllText(file, whole.ToJsonString());
        }

        void Refuse(string part) => Expect.Error(part, () => Train("run", steps: 4, sittings: 1));
    }

    [Fact]
    public void Gradients_too_large_at_the_smallest_scale_end_the_run()
    {
        s_bert.Write(_folder["model"]);
        LossScaleSettings fixedScale = new() { Initial = TooLarge, Smallest = TooLarge };
        Expect.Error("The gradients of step 1 are too large", () => Train("run", steps: 4, sittings: 1, fixedScale));
    }

    /// <summary>A run with a checkpoint after every step, in sittings of one step each or in one; the bits at its end.</summary>
    private (byte[] Bits, LossScaleState State) Train(string name, int steps, int sittings, LossScaleSettings? scale = null)
    {
        string checkpoint = _folder[name];
        for (int sitting = 1; ; sitting++)
        {
            using Backend device = open();
            DvpConfig config = TinyDvp.Config(s_bert, Layer, adapters: true);
            using LoadedDvp loaded = TinyDvp.Create(_folder["model"], config, device);
            TrainerSettings settings = new()
            {
                Steps = steps,
                Batch = 4,
                LearningRate = 1e-3,
                Warmup = 0,
                CheckpointEvery = 1,
                LossScale = scale ?? new LossScaleSettings { Initial = First, Interval = 2 },
            };
            using Trainer trainer = new(
                loaded.Model, loaded.Parameters, TinyDvp.Examples(s_bert, 8, seed: 3, longest: 4), null, settings, TinyDvp.Groups(config));
            List<LossScaleState?> reported = [];
            trainer.OnProgress = p => reported.Add(p.LossScale);
            trainer.TryResume(checkpoint);
            if (sitting < sittings)
            {
                Assert.Equal(DvpExitCode.Interrupted, Assert.Throws<DvpException>(
                    () => trainer.Train(Layer, checkpoint, new CancellationToken(canceled: true))).ExitCode);
                continue;
            }

            trainer.Train(Layer, checkpoint, TestContext.Current.CancellationToken);
            Assert.All(reported, r => Assert.Equal(trainer.State.LossScale, r));
            return (loaded.TrainedBytes(), trainer.State.LossScale ?? default);
        }
    }

    /// <summary>How far the last step's gradients are from those of another device, relative to their length.</summary>
    private static IEnumerable<(string Name, double Error)> Errors(TinyRunner of, TinyRunner exact)
    {
        foreach ((Parameter p, Parameter q) in of.Runner.Optimizer.Parameters.Zip(exact.Runner.Optimizer.Parameters))
        {
            (float[] found, float[] expected) = (Gradient(of, p), Gradient(exact, q));
            double length = Distance(expected, new float[expected.Length]);
            if (length > 0)
            {
                yield return (p.Name, Distance(found, expected) / length);
            }
        }

        // Good steps do not change the scale in so few.
        static float[] Gradient(TinyRunner tiny, Parameter p) =>
            Array.ConvertAll(tiny.Device.Floats(p.Gradient!), g => g / (tiny.Runner.LossScale?.Scale ?? 1));
    }

    private static IEnumerable<double> BelowHead(IEnumerable<(string Name, double Error)> errors) =>
        errors.Where(e => !e.Name.StartsWith("head.", StringComparison.Ordinal)).Select(e => e.Error);

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    private static double Distance(float[] a, float[] b) => Math.Sqrt(a.Zip(b, (x, y) => ((double)x - y) * ((double)x - y)).Sum());

    private static Dictionary<string, float[]> Trained(TinyRunner tiny) =>
        tiny.Runner.Optimizer.Parameters.ToDictionary(p => p.Name, p => tiny.Device.Floats(p.Value));

    private static float[] Moments(TinyRunner tiny) =>
    [
        .. Enumerable.Range(0, tiny.Runner.Optimizer.Parameters.Count).Select(tiny.Runner.Optimizer.Moments)
            .SelectMany(m => tiny.Device.Floats(m.FirstMoment).Concat(tiny.Device.Floats(m.SecondMoment))),
    ];

    private TinyRunner Open(Func<TrainerSettings, TrainerSettings> change, TrainingSet? examples = null) =>
        new(open(), _folder["model"], change, examples);
}

/// <summary>The oracle that rounds what it stores to f16.</summary>
public sealed class ReferenceLossScaleTests() : LossScaleTests(() => new ReferenceBackend(ElementType.F16));

/// <summary>The CUDA device in f16.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaLossScaleTests() : LossScaleTests(() => CudaUnderTest.Open(ElementType.F16));
