using Dvp.Engine;
using Dvp.Training;

namespace Dvp.Experiments;

/// <summary>A named recipe: how the layer is searched and how the model is trained at it.</summary>
public sealed record Preset
{
    /// <summary>The name that <c>--preset</c> takes and the report shows.</summary>
    public required string Name { get; init; }

    /// <summary>What it is, in one sentence.</summary>
    public required string Description { get; init; }

    /// <summary>The search.</summary>
    public required TrainerSettings Search { get; init; }

    /// <summary>Layers scored in each step of the search (S).</summary>
    public int SearchSamples { get; init; } = 5;

    /// <summary>Whether the search trains adapters in place of the whole language model, as the training after it does.</summary>
    public bool SearchWithAdapters { get; init; }

    /// <summary>Examples that score the layers of a step.</summary>
    public int SearchValidationBatch { get; init; }

    /// <summary>The training.</summary>
    public required TrainerSettings Train { get; init; }

    /// <summary>Standard deviation of the type embeddings at the start.</summary>
    public double TypeDeviation { get; init; } = 1;

    /// <summary>C / r channels in the adapters: r.</summary>
    public int AdapterReduction { get; init; } = 8;

    /// <summary>Longest text in tokens.</summary>
    public int TextLength { get; init; } = 16;

    /// <summary>The names of all presets.</summary>
    public static IReadOnlyList<string> Names { get; } = ["sample", "paper"];

    /// <summary>The recipe found for the sample by its validation questions: small batches, no dropout, clipped gradients (see docs/decisions.md).</summary>
    public static Preset Sample { get; } = new()
    {
        Name = "sample",
        Description = "found for the easy-VQA sample on its validation questions: batch 16, rate 1e-3, head 3x, clipping at norm 1, no dropout, E from N(0, 0.02)",
        Search = new TrainerSettings
        {
            Steps = 60,
            Batch = 16,
            LearningRate = 5e-4,
            HeadMultiplier = 3,
            LinearDecay = false,
            MaxNorm = 1,
            Dropout = false,
        },
        SearchWithAdapters = true,
        SearchValidationBatch = 8,
        Train = new TrainerSettings
        {
            Steps = 700,
            Batch = 16,
            LearningRate = 1e-3,
            HeadMultiplier = 3,
            MaxNorm = 1,
            Dropout = false,
            EvaluateEvery = 350,
            CheckpointEvery = 350,
        },
        TypeDeviation = 0.02,
    };

    /// <summary>The paper's hyper-parameters with the batch cut to the sample's size: rate 1e-3, head 10x, E from N(0, 1), dropout 0.1, no clipping.</summary>
    public static Preset Paper { get; } = new()
    {
        Name = "paper",
        Description = "the paper's: rate 1e-3 with warm-up and linear decay, head 10x, E from N(0, 1), dropout 0.1, no clipping, search over the whole language model; batch 32",
        Search = new TrainerSettings { Steps = 150, Batch = 32, LearningRate = 1e-4, LinearDecay = false },
        SearchValidationBatch = 16,
        Train = new TrainerSettings { Steps = 450, Batch = 32, LearningRate = 1e-3, EvaluateEvery = 150, CheckpointEvery = 150 },
    };

    /// <summary>The preset of a name.</summary>
    /// <exception cref="DvpException">There is none of that name.</exception>
    public static Preset Of(string name) => name switch
    {
        "sample" => Sample,
        "paper" => Paper,
        _ => throw new DvpException($"There is no preset {name}; choose one of {string.Join(", ", Names)}."),
    };

    /// <summary>The same recipe with another seed.</summary>
    public Preset WithSeed(ulong seed) => this with { Search = Search with { Seed = seed }, Train = Train with { Seed = seed } };

    /// <summary>The same recipe in less memory and more time (<see cref="TrainerSettings.RecomputeLayers"/>).</summary>
    public Preset WithRecomputedLayers() =>
        this with { Search = Search with { RecomputeLayers = true }, Train = Train with { RecomputeLayers = true } };
}
