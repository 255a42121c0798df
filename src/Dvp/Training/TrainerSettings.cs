using System.Globalization;
using Dvp.Engine.Optim;

namespace Dvp.Training;

/// <summary>Everything that decides a training run but the data; the defaults are the paper's for DVP-BERT with adapters on VQA.</summary>
public sealed record TrainerSettings
{
    /// <summary>Optimiser steps.</summary>
    public required int Steps { get; init; }

    /// <summary>Examples of one backward pass.</summary>
    public int Batch { get; init; } = 256;

    /// <summary>Backward passes of one optimiser step.</summary>
    public int Accumulation { get; init; } = 1;

    /// <summary>Largest learning rate of the base group.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Factor on the head's learning rate.</summary>
    public float HeadMultiplier { get; init; } = 10;

    /// <summary>Factor on the prompt attention's learning rate; 1 in the paper.</summary>
    public float PromptMultiplier { get; init; } = 1;

    /// <summary>Warm-up: below 1 a fraction of the steps, else a number of steps.</summary>
    public double Warmup { get; init; } = 0.1;

    /// <summary>Whether the rate falls linearly to 0 after the warm-up; it stays constant in a search.</summary>
    public bool LinearDecay { get; init; } = true;

    /// <summary>Weight decay of the decayed parameters.</summary>
    public float WeightDecay { get; init; } = 0.01f;

    /// <summary>Largest global gradient norm; 0 for no clipping.</summary>
    public float MaxNorm { get; init; }

    /// <summary>Whether anything is dropped.</summary>
    public bool Dropout { get; init; } = true;

    /// <summary>The scale of the loss on a device whose activations are f16; no other has one. Null trains f16 without.</summary>
    public LossScaleSettings? LossScale { get; init; } = new();

    /// <summary>
    /// Whether of every layer the result alone is kept, and the layer is computed again in the backward pass: less memory, more time, the
    /// same bits.
    /// </summary>
    public bool RecomputeLayers { get; init; }

    /// <summary>Optimiser arithmetic.</summary>
    public AdamWSettings AdamW { get; init; } = new();

    /// <summary>Seed of order and dropout.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Steps between two evaluations on the validation set; 0 for none.</summary>
    public int EvaluateEvery { get; init; }

    /// <summary>Steps between two checkpoints; 0 for one at the end only.</summary>
    public int CheckpointEvery { get; init; }

    /// <summary>Evaluations without a better result after which training stops; 0 for never.</summary>
    public int Patience { get; init; }

    /// <summary>The rate of every step.</summary>
    public LearningRateSchedule Schedule()
    {
        int warmup = LearningRateSchedule.WarmupSteps(Warmup, Steps);
        return LinearDecay
            ? LearningRateSchedule.Polynomial(LearningRate, Steps, warmup)
            : LearningRateSchedule.Constant(LearningRate, warmup);
    }

    /// <summary>
    /// A text that is the same exactly for settings that compute the same: a checkpoint is resumed only under equal ones. How often
    /// checkpoints are written and whether layers are computed again is left out, and so is the loss scale, which only f16 has.
    /// </summary>
    public string Identity() => string.Create(
        CultureInfo.InvariantCulture,
        $"steps {Steps}, batch {Batch}, accumulation {Accumulation}, learning rate {LearningRate}, head multiplier {HeadMultiplier}, prompt multiplier {PromptMultiplier}, " +
        $"warm-up {Warmup}, linear decay {LinearDecay}, weight decay {WeightDecay}, largest norm {MaxNorm}, dropout {Dropout}, " +
        $"beta1 {AdamW.Beta1}, beta2 {AdamW.Beta2}, epsilon {AdamW.Epsilon}, decay first {AdamW.DecoupledFirst}, " +
        $"missing gradients {AdamW.MissingGradient}, seed {Seed}, evaluation every {EvaluateEvery}, patience {Patience}");
}

/// <summary>What a training run has to tell, step by step.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="Steps">All steps.</param>
/// <param name="Loss">Mean loss since the last report.</param>
/// <param name="Rate">Learning rate of the step.</param>
/// <param name="Accuracy">Validation accuracy where it was just measured.</param>
/// <param name="SamplesPerSecond">Examples a second since the last report.</param>
/// <param name="Remaining">Time to the end at this pace.</param>
/// <param name="LossScale">The loss scale and the steps that it skipped, where the device computes in f16.</param>
public sealed record TrainingProgress(
    int Step, int Steps, double Loss, double Rate, double? Accuracy, double SamplesPerSecond, TimeSpan Remaining,
    LossScaleState? LossScale = null);

/// <summary>One point of a curve.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="Value">Loss or accuracy.</param>
public readonly record struct StepValue(int Step, double Value);
