using Dvp.Reporting;
using Dvp.Training;

namespace Dvp.Experiments;

/// <summary>What a search or a training is asked for.</summary>
public sealed record JobOptions
{
    /// <summary>Models and data.</summary>
    public required ExperimentPaths Paths { get; init; }

    /// <summary>The run folder.</summary>
    public required string Run { get; init; }

    /// <summary>The recipe.</summary>
    public Preset Preset { get; init; } = Preset.Sample;

    /// <summary>Goes on with the run in <see cref="Run"/>.</summary>
    public bool Resume { get; init; }

    /// <summary>Where the features are kept; by default in the run folder.</summary>
    public string? Features { get; init; }

    /// <summary>Called when a phase begins.</summary>
    public Action<string>? OnPhase { get; init; }

    /// <summary>Called while features are made, with the pictures done and all.</summary>
    public Action<int, int>? OnPictures { get; init; }

    /// <summary>Called with every training report.</summary>
    public Action<TrainingProgress>? OnProgress { get; init; }

    /// <summary>Opens the run folder.</summary>
    internal RunFolder Folder() => Resume ? RunFolder.Existing(Run) : RunFolder.New(Run);
}

/// <summary>Memory by kind.</summary>
internal static class MemoryKinds
{
    /// <summary>Weights, activations, optimiser, features of a training.</summary>
    public static IReadOnlyList<MemoryUse> Of(TrainedRun run, VqaExperiment experiment) =>
    [
        new("weights", run.Loaded.Parameters.ValueBytes),
        new("activations and gradients", run.Trainer.Graphs.ActivationBytes),
        new("optimiser", run.Trainer.OptimizerBytes),
        new("features", experiment.Features.Bytes),
    ];
}
