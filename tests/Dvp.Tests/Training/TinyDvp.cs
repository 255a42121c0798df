using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Optim;
using Dvp.Prompting;
using Dvp.Training;

namespace Dvp.Tests.Training;

/// <summary>Visual tokens in memory.</summary>
internal sealed class MemoryFeatures(int tokens, int channels, float[] values) : IVisualFeatures
{
    public int Tokens => tokens;

    public int Channels => channels;

    public void Read(int row, Span<float> destination) => values.AsSpan(row * tokens * channels, tokens * channels).CopyTo(destination);
}

/// <summary>DVP configurations for a <see cref="TinyModel"/>, and examples to train them on.</summary>
internal static class TinyDvp
{
    public const int VisualTokens = 3;
    public const int VisualChannels = 5;
    public const int Labels = 4;

    /// <summary>A configuration of a mode.</summary>
    /// <param name="model">The language model.</param>
    /// <param name="layer">K, or null for a search over all layers.</param>
    /// <param name="adapters">Whether there are adapters.</param>
    /// <param name="kind">How the picture enters.</param>
    /// <param name="loss">The loss.</param>
    public static DvpConfig Config(
        TinyModel model, int? layer, bool adapters, PromptKind kind = PromptKind.Dynamic, DvpLoss loss = DvpLoss.BinaryCrossEntropy) => new()
        {
            LanguageModelType = model.Type,
            TextLength = model.Type == "t5" ? 6 : 16, // T5 pads to it
            Layer = layer,
            SearchLayers = layer is null ? [.. Enumerable.Range(0, model.Layers)] : null,
            Kind = kind,
            Prompt = new PromptConfig(6, 2, VisualChannels, Dropout: model.Dropout),
            Adapters = adapters ? new AdapterConfig(3, model.Type == "llama" ? Activation.Silu : Activation.Relu) : null,
            Head = new HeadConfig(10, Labels),
            Loss = loss,
        };

    /// <summary>The rules of a mode, all of the head at ten times the rate unless another factor is given.</summary>
    public static ParameterGroups Groups(DvpConfig config, float head = 10)
    {
        TrainingMode mode = config.SearchLayers is not null ? TrainingMode.Search
            : config.Kind == PromptKind.None ? TrainingMode.TextOnly
            : config.Adapters is null ? TrainingMode.Full : TrainingMode.Adapter;
        return new ParameterGroups(mode, config.Adapters is not null) { HeadMultiplier = head };
    }

    /// <summary>A fresh model.</summary>
    public static LoadedDvp Create(string folder, DvpConfig config, Backend backend, ulong seed = 3) => LoadedDvp.Create(
        folder, config, backend, new LoadOptions { Groups = Groups(config), Initial = new InitialValues(seed, 0.5) });

    /// <summary>Random examples: texts of different lengths, several answers with soft scores.</summary>
    public static TrainingSet Examples(TinyModel model, int count, ulong seed, int longest = 6)
    {
        SeededRandom random = new(seed);
        float[] pictures = new float[count * VisualTokens * VisualChannels];
        random.FillNormal(pictures, 0, 1);
        int[][] tokens = new int[count][];
        int[][] labels = new int[count][];
        float[][] scores = new float[count][];
        for (int e = 0; e < count; e++)
        {
            tokens[e] = [.. Enumerable.Range(0, 3 + random.NextInt(longest - 2)).Select(_ => 1 + random.NextInt(model.Vocabulary - 1)).Where(t => t != model.EndToken)];
            tokens[e] = model.EndToken < 0 ? tokens[e] : [.. tokens[e].Take(longest - 1), model.EndToken];
            int first = random.NextInt(Labels);
            labels[e] = [first, (first + 1) % Labels];
            scores[e] = [1, 0.3f];
        }

        return new TrainingSet(
            new MemoryFeatures(VisualTokens, VisualChannels, pictures), Labels, tokens, [.. Enumerable.Range(0, count)], labels, scores);
    }
}
