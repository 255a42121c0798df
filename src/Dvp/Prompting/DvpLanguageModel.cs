using Dvp.Engine.Autograd;
using Dvp.Engine.Tensors;

namespace Dvp.Prompting;

/// <summary>
/// A language model with Dynamic Visual Prompting (arXiv 2306.00409, section 3): the text alone runs through the layers below K; a state at
/// that depth asks the picture for a prompt token; prompt and text run through the layers from K on; one state is classified.
/// </summary>
/// <remarks>These classes record graphs; they own no memory but their parameters.</remarks>
/// <param name="config">The DVP part.</param>
public abstract class DvpLanguageModel(DvpConfig config)
{
    /// <summary>The DVP part.</summary>
    public DvpConfig Config { get; } = config;

    /// <summary>Longest text in tokens.</summary>
    public abstract int MaximumPositions { get; }

    /// <summary>Number of tokens that every text is padded to at least: T5's query is a mean over all of them.</summary>
    public virtual int MinimumLength => 1;

    /// <summary>The token whose state is read at the end of a text; -1 where another is.</summary>
    public virtual int EndToken => -1;

    /// <summary>The layers that own a prompt.</summary>
    public IReadOnlyCollection<int> Candidates => Prompts.Layers;

    /// <summary>The prompts, one for each candidate layer.</summary>
    protected abstract PromptSet Prompts { get; }

    /// <summary>Tokens that the prompt of a layer puts before the text.</summary>
    public int PromptTokens(int visualTokens) => Prompts.TokensFor(visualTokens);

    /// <summary>Those of them that stand in the text's mask.</summary>
    public virtual int MaskedPromptTokens(int visualTokens) => PromptTokens(visualTokens);

    /// <summary>Records everything below <paramref name="depth"/>, which sees the text alone.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="inputs">Token ids and mask.</param>
    /// <param name="depth">Number of layers to run.</param>
    /// <param name="states">Receives every state by its name in the golden files, when all are asked for.</param>
    public abstract TextState Prefix(Graph graph, StepInputs inputs, int depth, IDictionary<string, Variable>? states = null);

    /// <summary>Records one more layer below the insertion.</summary>
    public abstract TextState NextLayer(Graph graph, TextState state, StepInputs inputs, int layer);

    /// <summary>Records the insertion before layer K and everything after it.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="state">The text at depth K, one sequence for each example.</param>
    /// <param name="inputs">Visual tokens and masks; without visual tokens nothing is inserted.</param>
    /// <param name="layer">K</param>
    /// <param name="states">Receives every named state; then all rows of the last layer are computed.</param>
    public abstract DvpOutputs Suffix(
        Graph graph, TextState state, StepInputs inputs, int layer, IDictionary<string, Variable>? states = null);

    /// <summary>Records the loss of logits.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="logits">(B, answers)</param>
    /// <param name="targets">Soft targets (B, answers), or I32 labels (B), as the loss wants.</param>
    /// <param name="scale">Factor on loss and gradient.</param>
    public Tensor Loss(Graph graph, Variable logits, Variable targets, float scale = 1) => Config.Loss == DvpLoss.BinaryCrossEntropy
        ? graph.BinaryCrossEntropy(logits, targets, scale)
        : graph.CrossEntropy(logits, targets, scale: scale);
}

/// <summary>A text on its way through the layers.</summary>
/// <param name="Hidden">(B, T, C) the state at some depth; of T5 the decoder's, (B, 1, C)</param>
/// <param name="Encoder">(B, T, C) the output of T5's encoder; else null</param>
/// <param name="Bias">Relative positions that T5's decoder layers below the insertion share; else null.</param>
/// <param name="Rotation">Rotary positions below the insertion, for LLaMA; else null.</param>
public sealed record TextState(Variable Hidden, Variable? Encoder = null, Variable? Bias = null, Rotation? Rotation = null)
{
    /// <summary>The same text with every sequence's state replaced, as by a copy for each example.</summary>
    public TextState Select(Func<Variable, Variable> each) =>
        this with { Hidden = each(Hidden), Encoder = Encoder is null ? null : each(Encoder) };
}

/// <summary>What a recorded DVP forward pass yields.</summary>
/// <param name="Logits">(B, answers)</param>
/// <param name="Attention">(B, H, P, N) probabilities of the prompt attention; null where there is none.</param>
public sealed record DvpOutputs(Variable Logits, Tensor? Attention);
