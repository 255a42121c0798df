using Dvp.Engine;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Prompting;
using Dvp.Search;
using Dvp.Tests.IO;
using Dvp.Tests.Training;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Search;

/// <summary>
/// The search with real training and real scores where the right answer is known: the visual path of every layer but one is cut (value
/// projection zero and frozen), so that only prompts before the live layer can say anything about the picture.
/// </summary>
public sealed class PlantedSearchTests
{
    private const int Seeds = 10;
    private const int Needed = 9;
    private const int ExhaustiveSeeds = 4;
    private const int Steps = 300;
    private const int Batch = 32;
    private const int Colours = 4;
    private const int VisualTokens = 2;
    private const int VisualChannels = 8;
    private static readonly TinyBert s_bert = new()
    {
        Layers = 4,
        Channels = 32,
        Heads = 2,
        Intermediate = 64,
        Vocabulary = 12,
        Positions = 4,
        Deviation = 0.1,
    };

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Kab_app_finds_the_live_layer(int live)
    {
        int[] found = Found(live, Seeds, seed => new KabApp(s_bert.Layers, seed: seed));
        int hits = found.Count(k => k == live);
        Assert.True(hits >= Needed, $"{hits} of {Seeds} seeds found layer {live}: {string.Join(", ", found)}");
    }

    [Fact]
    public void Exhaustive_search_finds_it_too()
    {
        int[] found = Found(2, ExhaustiveSeeds, _ => new Exhaustive(s_bert.Layers, s_bert.Layers));
        Assert.All(found, layer => Assert.Equal(2, layer));
    }

    /// <summary>The layer that each seed's search chose.</summary>
    private static int[] Found(int live, int seeds, Func<ulong, ILayerSearch> strategy)
    {
        using TemporaryFolder folder = new();
        int[] found = new int[seeds];
        Parallel.For(0, seeds, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, i =>
        {
            ulong seed = (ulong)i + 1;
            found[i] = Search(folder[$"{i}"], live, seed, strategy(seed));
        });
        return found;
    }

    private static int Search(string folder, int live, ulong seed, ILayerSearch search)
    {
        TinyBert bert = s_bert with { Seed = seed };
        DvpConfig config = new()
        {
            SearchLayers = [.. Enumerable.Range(0, bert.Layers)],
            Prompt = new PromptConfig(bert.Channels, bert.Heads, VisualChannels),
            Head = new HeadConfig(2 * bert.Channels, Colours),
        };
        ParameterGroups groups = new(TrainingMode.Search) { HeadMultiplier = 3 };
        using CpuBackend device = new(1);
        using LoadedDvp loaded = LoadedDvp.Create(bert.Write(folder), config, device, new LoadOptions
        {
            Groups = groups,
            Frozen = name => IsCut(name, live),
            Initial = new InitialValues(seed, TypeDeviation: 0.3),
        });
        foreach (Parameter parameter in loaded.Parameters.All.Where(p => IsCut(p.Name, live)))
        {
            Assert.False(parameter.Trains);
            device.Fill(parameter.Value, 0);
            parameter.Block.Touch();
        }

        TrainerSettings settings = new()
        {
            Steps = Steps,
            Batch = Batch,
            LearningRate = 1e-3,
            LinearDecay = false,
            Warmup = 0,
            Seed = seed,
        };
        using Trainer trainer = new(
            loaded.Model, loaded.Parameters, Examples(1000, seed), Examples(200, seed + 1000), settings, groups);
        int chosen = trainer.Search(search, Batch / 2);
        foreach (Parameter parameter in loaded.Parameters.All.Where(p => IsCut(p.Name, live)))
        {
            float[] values = new float[parameter.Value.Count];
            device.Download(values, parameter.Value);
            Assert.All(values, v => Assert.Equal(0, v));
        }

        return chosen;
    }

    private static bool IsCut(string name, int live) =>
        name.Contains(".prompt.linear_v.", StringComparison.Ordinal) && !name.StartsWith($"search.{live}.", StringComparison.Ordinal);

    /// <summary>A picture is of one colour, in all of its noisy tokens, and the question asks for it in words that do not help.</summary>
    private static TrainingSet Examples(int count, ulong seed)
    {
        SeededRandom random = new(seed, stream: 0xC0105);
        float[] pictures = new float[count * VisualTokens * VisualChannels];
        random.FillNormal(pictures, 0, 0.1);
        (int[][] tokens, int[][] labels) = (new int[count][], new int[count][]);
        for (int e = 0; e < count; e++)
        {
            int colour = random.NextInt(Colours);
            for (int n = 0; n < VisualTokens; n++)
            {
                Span<float> token = pictures.AsSpan(((e * VisualTokens) + n) * VisualChannels, VisualChannels);
                token[colour] += 2;
                token[Colours + n] += 2;
            }

            labels[e] = [colour];
            tokens[e] = [1, 3 + random.NextInt(s_bert.Vocabulary - 3), 2];
        }

        return new TrainingSet(
            new MemoryFeatures(VisualTokens, VisualChannels, pictures), Colours, tokens, [.. Enumerable.Range(0, count)], labels,
            [.. Enumerable.Repeat((float[])[1], count)]);
    }
}
