using Dvp.Engine.Devices;
using Dvp.Prompting;
using Dvp.Training;

namespace Dvp.Tests.Training;

/// <summary>A tiny model with its optimiser on one device, to take steps with.</summary>
internal sealed class TinyRunner : IDisposable
{
    private static readonly TinyBert s_bert = new() { Channels = 32, Heads = 4, Intermediate = 64, Positions = 12 };
    private readonly LoadedDvp _loaded;

    /// <summary>Makes the model; the device is disposed with it.</summary>
    /// <param name="device">The device.</param>
    /// <param name="modelFolder">Where the language model is written to.</param>
    /// <param name="change">Changes the settings.</param>
    /// <param name="examples">What is trained on; null for <see cref="Examples"/>.</param>
    /// <param name="head">How many times faster the head learns.</param>
    /// <param name="model">The language model; null for a BERT.</param>
    /// <param name="layer">K, or null for a search over all layers, whose language model trains without adapters.</param>
    public TinyRunner(
        Backend device, string modelFolder, Func<TrainerSettings, TrainerSettings>? change = null, TrainingSet? examples = null, float head = 10,
        TinyModel? model = null, int? layer = 1)
    {
        Device = device;
        model ??= s_bert;
        DvpConfig config = TinyDvp.Config(model, layer, adapters: layer is not null);
        TrainerSettings settings = new() { Steps = 1000, Batch = 4, LearningRate = 1e-3, Warmup = 0, MaxNorm = 1 };
        _loaded = TinyDvp.Create(model.Write(modelFolder), config, device);
        Runner = new StepRunner(
            _loaded.Model, _loaded.Parameters, examples ?? Examples(24), change?.Invoke(settings) ?? settings, TinyDvp.Groups(config, head));
        Predictor = new Predictor(_loaded.Model, Runner.Graphs, batch: 8);
    }

    public static int Layers => s_bert.Layers;

    public Backend Device { get; }

    public StepRunner Runner { get; }

    public Predictor Predictor { get; }

    public static TrainingSet Examples(int count, int longest = 8) => TinyDvp.Examples(s_bert, count, seed: 3, longest);

    /// <summary>The losses of the next steps.</summary>
    public double[] Steps(int from, int count) => [.. Enumerable.Range(from, count).Select(s => Runner.Step(s, 1))];

    /// <summary>The bits of everything that trains.</summary>
    public byte[] Bits() => _loaded.TrainedBytes();

    public void Dispose()
    {
        Runner.Dispose();
        _loaded.Dispose();
        Device.Dispose();
    }
}
