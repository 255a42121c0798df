using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices;

/// <summary>
/// Dropout with a counter-based stream: element e (counted in the logical, contiguous order of the tensor) of site s at step t
/// is kept when the uniform number (word >> 8) 2^-24 is at least the rate, where the word is number e mod 4 of Philox4x32-10 with
/// counter (e / 4, s, step low, step high) and key (seed low, seed high).
/// </summary>
/// <remarks>A resumed run, another thread count and another device draw the same bits. Kept elements are scaled by 1 / (1 - rate).</remarks>
/// <param name="Rate">Probability of dropping an element, in [0, 1).</param>
/// <param name="Site">Number of the place in the model where the dropout stands.</param>
/// <param name="State">I32 (4) on the device: seed low, seed high, step low, step high; read at run time, so that a recorded step can be replayed.</param>
/// <param name="KeepMask">Explicit factors (0 or 1 / (1 - rate)) in place of the stream, shaped like the elements; for comparisons with other implementations.</param>
public sealed record Dropout(float Rate, int Site, Tensor? State, Tensor? KeepMask = null);

/// <summary>What a normalisation keeps for its backward pass.</summary>
/// <param name="Sum">(N, C) the normalised sum x + residual; the input itself where there is no residual.</param>
/// <param name="Mean">(N) in the accumulation type of the device; null for RMS norm.</param>
/// <param name="Rstd">(N) 1 / sqrt(variance + eps), for RMS norm 1 / sqrt(mean square + eps); in the accumulation type.</param>
public sealed record NormState(Tensor Sum, Tensor? Mean, Tensor Rstd);

/// <summary>Shape, masks and dropout of an attention.</summary>
/// <remarks>Query (B, Tq, H D), key and value (B, Tk, G D): query head h reads key head h / (H / G). A query with no visible key yields zeros.</remarks>
/// <param name="Heads">H, query heads.</param>
/// <param name="KeyHeads">G, key and value heads; divides H.</param>
/// <param name="Scale">Factor on the scores.</param>
/// <param name="Causal">Key j is visible to query i if j &lt;= i + Tk - Tq.</param>
/// <param name="KeyMask">I32 (B, Tk), 0 hides a key; or null.</param>
/// <param name="KeyLengths">I32 (B), keys at or beyond the length are hidden; or null.</param>
/// <param name="Bias">(H, Tq, Tk) added to the scaled scores; or null.</param>
/// <param name="Dropout">Dropout on the probabilities; or null.</param>
public sealed record AttentionOptions(
    int Heads,
    int KeyHeads,
    float Scale,
    bool Causal = false,
    Tensor? KeyMask = null,
    Tensor? KeyLengths = null,
    Tensor? Bias = null,
    Dropout? Dropout = null);

/// <summary>What absorbed prompt attention keeps for its backward pass, in the accumulation type; see <see cref="Backend.PromptAttentionForward"/>.</summary>
/// <param name="Absorbed">u (B, P, H V): the query through the key projection.</param>
/// <param name="Probabilities">p (B, H, P, N) before dropout.</param>
/// <param name="Condensed">z (B, P, H V): visual tokens summed with the (dropped) probabilities.</param>
/// <param name="ProbabilitySum">(B, P, H): sum of the dropped probabilities, 1 without dropout.</param>
public sealed record PromptAttentionState(Tensor Absorbed, Tensor Probabilities, Tensor Condensed, Tensor ProbabilitySum);

/// <summary>One parameter of a multi-tensor AdamW step. Every tensor is contiguous and of equal size.</summary>
public sealed class AdamWParameter
{
    /// <summary>The values, updated in place.</summary>
    public required Tensor Value { get; init; }

    /// <summary>The gradient, read only.</summary>
    public required Tensor Gradient { get; init; }

    /// <summary>First moment, updated in place.</summary>
    public required Tensor FirstMoment { get; init; }

    /// <summary>Second moment, updated in place.</summary>
    public required Tensor SecondMoment { get; init; }

    /// <summary>Factor on the base learning rate.</summary>
    public float RateMultiplier { get; init; } = 1;

    /// <summary>Weight decay.</summary>
    public float Decay { get; init; }

    /// <summary>Whether this step updates the tensor; a tensor without a gradient is skipped.</summary>
    public bool Active { get; init; } = true;
}

/// <summary>Hyper-parameters of AdamW.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="DecoupledFirst">
/// false (the paper's code): epsilon outside the bias correction, decay applied to the updated value.
/// true (PyTorch's order): decay first, epsilon inside the bias correction.
/// </param>
/// <param name="MaxNorm">Gradients are scaled by min(1, MaxNorm / (norm + 1e-6)); 0 for no clipping.</param>
public readonly record struct AdamWOptions(float Beta1, float Beta2, float Epsilon, bool DecoupledFirst, float MaxNorm);

/// <summary>How a dynamic loss scale moves.</summary>
/// <param name="Growth">Factor after <paramref name="Interval"/> good steps; a power of two, so that scaling is exact.</param>
/// <param name="Shrinkage">Factor after a step whose gradients were no numbers; a power of two.</param>
/// <param name="Interval">Good steps in a row after which the scale grows.</param>
/// <param name="Smallest">The scale never falls below this.</param>
/// <param name="Largest">Nor does it rise above this.</param>
public readonly record struct LossScaleOptions(float Growth, float Shrinkage, int Interval, float Smallest, float Largest);
