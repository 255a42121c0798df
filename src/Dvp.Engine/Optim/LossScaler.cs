using System.Globalization;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Optim;

/// <summary>
/// How the scale of the loss moves in f16 training (Micikevicius et al. 2018, arXiv 1710.03740, section 3.2). First scale and interval are
/// those of PyTorch's gradient scaler; all factors are powers of two, so that scaling changes exponents only.
/// </summary>
public sealed record LossScaleSettings
{
    /// <summary>
    /// The first scale. Over a batch of two or more examples 2^16 stays inside f16 (65504) at the logits; where it is too much further down,
    /// each halving costs one step.
    /// </summary>
    public float Initial { get; init; } = 65536;

    /// <summary>Good steps in a row after which the scale doubles: one overflow in 2000 steps is a price nobody sees.</summary>
    public int Interval { get; init; } = 2000;

    /// <summary>The scale never falls below this; gradients that overflow even so end a run.</summary>
    public float Smallest { get; init; } = 1;

    /// <summary>The scale never rises above this: 2^24 lifts the smallest f16 number to 1.</summary>
    public float Largest { get; init; } = 1 << 24;

    /// <summary>A text that is the same exactly for settings that compute the same.</summary>
    public string Identity() => string.Create(
        CultureInfo.InvariantCulture, $"loss scale {Initial} every {Interval} in {Smallest} to {Largest}");

    internal LossScaleOptions Options => new(Growth: 2, Shrinkage: 0.5f, Interval, Smallest, Largest);
}

/// <summary>Where a loss scale stands: what a checkpoint holds.</summary>
/// <param name="Scale">The factor of the next step.</param>
/// <param name="GoodSteps">Steps since it last changed.</param>
/// <param name="SkippedSteps">Steps that updated nothing because their gradients were too large for f16.</param>
public readonly record struct LossScaleState(float Scale, int GoodSteps, int SkippedSteps)
{
    /// <summary>"65536, 2 steps skipped".</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Scale:0.######}, {SkippedSteps} {(SkippedSteps == 1 ? "step" : "steps")} skipped");
}

/// <summary>
/// The dynamic scale of a loss, on the device: the loss multiplies its gradient by it, the optimiser divides by it and then moves it.
/// The host takes no part, so that a step can be recorded.
/// </summary>
public sealed class LossScaler
{
    /// <summary>Numbers of a state.</summary>
    public const int Numbers = 3;

    private readonly Backend _backend;
    private readonly Tensor _state;
    private readonly LossScaleOptions _options;

    /// <summary>Starts with the first scale.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="settings">How the scale moves.</param>
    /// <param name="state">(3) memory for scale, good steps and skipped steps, in the accumulation type</param>
    public LossScaler(Backend backend, LossScaleSettings settings, Tensor state)
    {
        Settings = settings;
        _backend = backend;
        _state = state;
        _options = settings.Options;
        Scale = state.SliceColumns(0, 1);
        Restore(new LossScaleState(settings.Initial, 0, 0));
    }

    /// <summary>How the scale moves.</summary>
    public LossScaleSettings Settings { get; }

    /// <summary>(1) the factor, for the operators that scale and unscale.</summary>
    public Tensor Scale { get; }

    /// <summary>Goes on from a state.</summary>
    public void Restore(LossScaleState state) => _backend.Upload(_state, [state.Scale, state.GoodSteps, state.SkippedSteps]);

    /// <summary>Reads a state from the numbers that the device holds.</summary>
    public static LossScaleState Read(ReadOnlySpan<float> numbers) => new(numbers[0], (int)numbers[1], (int)numbers[2]);

    /// <summary>Moves the scale after an update: one operator, to be recorded.</summary>
    /// <param name="norm">(1) the global norm of the step's gradients</param>
    internal void Update(Tensor norm) => _backend.UpdateLossScale(_state, norm, _options);
}
