using System.Text.Json.Nodes;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Prompting;
using Dvp.Search;
using Dvp.Tests.IO;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>A run that is killed, stopped or resumed ends with the same bits as one that was never interrupted.</summary>
public sealed class ResumeTests : IDisposable
{
    private const int Steps = 60;
    private const int Kills = 4;
    private const string Resumed = "resumed at step ";
    private static readonly TinyBert s_bert = new();
    private readonly TemporaryFolder _folder = new();

    public ResumeTests() => s_bert.Write(_folder["model"]);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("train", 11)]
    [InlineData("train-f16", 13)]
    [InlineData("search", 12)]
    public void A_killed_run_ends_with_the_same_bits(string part, ulong seed)
    {
        string whole = Directory.CreateDirectory(_folder["whole"]).FullName;
        string killed = Directory.CreateDirectory(_folder["killed"]).FullName;
        using (ChildProcess child = new(part, whole))
        {
            child.Finish();
        }

        // Killed at moments that fall into a step or into the writing of a checkpoint, which comes after every step.
        SeededRandom random = new(seed);
        int deaths = 0;
        for (int kill = 0; kill < Kills; kill++)
        {
            using ChildProcess child = new(part, killed);
            Assert.Equal(ChildProcess.Started, child.ReadLine());
            Assert.StartsWith(Resumed, child.ReadLine(), StringComparison.Ordinal);
            while (!Directory.Exists(Path.Combine(killed, "checkpoint")))
            {
                Thread.Sleep(1);
            }

            Thread.Sleep(kill * random.NextInt(40));
            child.Kill();
            deaths += File.Exists(Path.Combine(killed, "dvp", "dvp.safetensors")) ? 0 : 1;
        }

        Assert.True(deaths > 0, "every kill came after the end");
        using (ChildProcess last = new(part, killed))
        {
            Assert.Equal(ChildProcess.Started, last.ReadLine());
            Assert.NotEqual(Resumed + "0", last.ReadLine());
            last.Finish();
        }

        AssertSame(whole, killed);
    }

    [Fact]
    public void A_stopped_run_saves_says_how_to_go_on_and_goes_on()
    {
        string whole = Directory.CreateDirectory(_folder["whole"]).FullName;
        string stopped = Directory.CreateDirectory(_folder["stopped"]).FullName;
        TrainToTheEnd(whole);
        using CancellationTokenSource stop = new();
        using (TinyRun run = new(stopped))
        {
            run.Trainer.OnProgress = progress =>
            {
                if (progress.Step == 20)
                {
                    stop.Cancel();
                }
            };
            DvpException error = Assert.Throws<DvpException>(() => run.Trainer.Train(TinyRun.Layer, run.Checkpoint, stop.Token));
            Assert.Equal(DvpExitCode.Interrupted, error.ExitCode);
            Assert.Contains("Stopped after step 20 of 60 and saved", error.Message, StringComparison.Ordinal);
            Assert.Equal(20, run.Trainer.State.Step);
        }

        TrainToTheEnd(stopped);
        AssertSame(whole, stopped);

        using TinyRun nowhere = new(Directory.CreateDirectory(_folder["nowhere"]).FullName);
        DvpException unsaved = Assert.Throws<DvpException>(
            () => nowhere.Trainer.Train(TinyRun.Layer, null, new CancellationToken(canceled: true)));
        Assert.Equal(DvpExitCode.Interrupted, unsaved.ExitCode);
        Assert.Contains("nothing was saved", unsaved.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_settings_another_layer_or_other_examples_are_refused()
    {
        string folder = Directory.CreateDirectory(_folder["run"]).FullName;
        using (TinyRun run = new(folder, settings: s => s with { Steps = 2 }))
        {
            run.Trainer.Train(TinyRun.Layer, run.Checkpoint, TestContext.Current.CancellationToken);
        }

        byte[] before = File.ReadAllBytes(Path.Combine(folder, "checkpoint", "state.safetensors"));
        Refuse("learning rate 0.003, and this run has learning rate 0.004", settings: s => s with { Steps = 2, LearningRate = 0.004 });
        Refuse("seed 5, and this run has seed 6", settings: s => s with { Steps = 2, Seed = 6 });
        Refuse("layer 1, and this run has layer 2", settings: s => s with { Steps = 2 }, layer: 2);
        Refuse("training examples", settings: s => s with { Steps = 2 }, examplesSeed: 99);
        using TinyRun rarer = new(folder, settings: s => s with { Steps = 2, CheckpointEvery = 9 }); // changes nothing that is computed
        Assert.True(rarer.Trainer.TryResume(rarer.Checkpoint));
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(folder, "checkpoint", "state.safetensors")));

        void Refuse(string part, Func<TrainerSettings, TrainerSettings> settings, int layer = TinyRun.Layer, ulong examplesSeed = 7)
        {
            using TinyRun run = new(folder, settings, layer, examplesSeed);
            Expect.Error(part, () => run.Trainer.TryResume(run.Checkpoint));
        }
    }

    [Fact]
    public void Damaged_checkpoints_are_refused()
    {
        string folder = Directory.CreateDirectory(_folder["run"]).FullName;
        using (TinyRun run = new(folder, settings: s => s with { Steps = 2 }))
        {
            Assert.False(run.Trainer.TryResume(run.Checkpoint));
            run.Trainer.Train(TinyRun.Layer, run.Checkpoint, TestContext.Current.CancellationToken);
        }

        string weights = Path.Combine(folder, "checkpoint", "state.safetensors");
        string state = Path.Combine(folder, "checkpoint", "state.json");
        (byte[] goodWeights, string goodState) = (File.ReadAllBytes(weights), File.ReadAllText(state));
        Refuse("state.safetensors", () => File.WriteAllBytes(weights, goodWeights[..^10]));
        Refuse("state.safetensors", () => File.Delete(weights));
        File.WriteAllBytes(weights, goodWeights);
        Refuse("state.json", () => File.WriteAllText(state, goodState[..^10]));
        Refuse("updates", () => File.WriteAllText(state, Edit(goodState, json => json["updates"]!.AsArray().RemoveAt(0))));
        Refuse("losses", () => File.WriteAllText(state, Edit(goodState, json => json["losses"] = new JsonArray(new JsonArray(1)))));
        Refuse("step", () => File.WriteAllText(state, Edit(goodState, json => json.Remove("step"))));

        void Refuse(string part, Action damage)
        {
            damage();
            using TinyRun run = new(folder, settings: s => s with { Steps = 2 });
            Expect.Error(part, () => run.Trainer.TryResume(run.Checkpoint));
        }
    }

    /// <summary>The part that is killed: goes on from the last checkpoint and saves the DVP at the end.</summary>
    internal static void TrainToTheEnd(string folder) => TrainToTheEnd(folder, new CpuBackend(1));

    /// <summary>The same in f16, with a loss scale that rises and falls.</summary>
    internal static void TrainInF16ToTheEnd(string folder) => TrainToTheEnd(folder, new ReferenceBackend(ElementType.F16));

    private static void TrainToTheEnd(string folder, Backend device)
    {
        using TinyRun run = new(folder, device: device);
        run.Trainer.TryResume(run.Checkpoint);
        Console.WriteLine($"{Resumed}{run.Trainer.State.Step}");
        run.Trainer.Train(TinyRun.Layer, run.Checkpoint);
        run.Loaded.Save(Path.Combine(folder, "dvp"));
    }

    /// <summary>The part that is killed, as a layer search.</summary>
    internal static void SearchToTheEnd(string folder)
    {
        using TinyRun run = new(folder, layer: null);
        run.Trainer.TryResume(run.Checkpoint);
        Console.WriteLine($"{Resumed}{run.Trainer.State.Step}");
        KabApp search = new(s_bert.Layers, seed: 4);
        int layer = run.Trainer.Search(search, validationBatch: 4, run.Checkpoint);
        run.Loaded.Save(Path.Combine(folder, "dvp"));
        File.WriteAllText(Path.Combine(folder, "layer"), $"{layer} {search.Save().ToJson()}");
    }

    private static void AssertSame(string expected, string actual)
    {
        string[] files = [.. Relative(expected)];
        Assert.Equal(files, Relative(actual)); // nothing unfinished is left
        Assert.Contains(Path.Combine("checkpoint", "state.safetensors"), files);
        Assert.Contains(Path.Combine("dvp", "dvp.safetensors"), files);
        foreach (string file in files)
        {
            (string a, string b) = (Path.Combine(expected, file), Path.Combine(actual, file));
            if (Path.GetFileName(file) == "state.json")
            {
                Assert.Equal(
                    Edit(File.ReadAllText(a), json => json.Remove("seconds")), Edit(File.ReadAllText(b), json => json.Remove("seconds")));
            }
            else
            {
                Assert.True(File.ReadAllBytes(a).AsSpan().SequenceEqual(File.ReadAllBytes(b)), $"{file} differs");
            }
        }
    }

    private static IEnumerable<string> Relative(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(folder, f)).Order(StringComparer.Ordinal);

    private static string Edit(string text, Action<JsonObject> change)
    {
        JsonObject json = JsonNode.Parse(text)!.AsObject();
        change(json);
        return json.ToJsonString();
    }

    /// <summary>A small run with dropout, evaluation, and a checkpoint after every step.</summary>
    private sealed class TinyRun : IDisposable
    {
        public const int Layer = 1;
        private readonly Backend _device;

        public TinyRun(
            string folder, Func<TrainerSettings, TrainerSettings>? settings = null, int? layer = Layer, ulong examplesSeed = 7,
            Backend? device = null)
        {
            _device = device ?? new CpuBackend(1);
            DvpConfig config = TinyDvp.Config(s_bert, layer, adapters: layer is not null);
            Loaded = TinyDvp.Create(Path.Combine(Path.GetDirectoryName(folder)!, "model"), config, _device);
            TrainerSettings given = new()
            {
                Steps = Steps,
                Batch = 4,
                Accumulation = 2,
                LearningRate = 3e-3,
                LinearDecay = layer is not null,
                Seed = 5,
                MaxNorm = 1,
                EvaluateEvery = 5,
                CheckpointEvery = 1,
                LossScale = new LossScaleSettings { Initial = 1 << 20, Interval = 7 },
            };
            Trainer = new Trainer(
                Loaded.Model, Loaded.Parameters, TinyDvp.Examples(s_bert, 30, examplesSeed), TinyDvp.Examples(s_bert, 9, seed: 8),
                settings?.Invoke(given) ?? given, TinyDvp.Groups(config))
            {
                OnBest = () => Loaded.Save(Path.Combine(folder, "best")),
            };
            Checkpoint = Path.Combine(folder, "checkpoint");
        }

        public LoadedDvp Loaded { get; }

        public Trainer Trainer { get; }

        public string Checkpoint { get; }

        public void Dispose()
        {
            Trainer.Dispose();
            Loaded.Dispose();
            _device.Dispose();
        }
    }
}
