namespace Dvp.Engine.Optim;

/// <summary>What a training run is about; with <see cref="ParameterGroups.Adapters"/> it decides which parameters train.</summary>
public enum TrainingMode
{
    /// <summary>DVP with adapters: the language model stays as it is but for its norms.</summary>
    Adapter,

    /// <summary>DVP without adapters: everything but the visual encoder trains.</summary>
    Full,

    /// <summary>
    /// The search for K: every layer owns a prompt. The language model trains (BERT, T5), or its adapters where it has some
    /// (LLaMA).
    /// </summary>
    Search,

    /// <summary>
    /// The baseline that sees no picture: no prompt, no type embedding; the language model or its adapters, and the head.
    /// </summary>
    TextOnly,
}

/// <summary>Which names weight decay spares.</summary>
public enum DecayRule
{
    /// <summary>Names that contain <c>bias</c>, <c>LayerNorm.weight</c> or <c>norm.weight</c>: BERT, T5, LLaMA.</summary>
    ByName,

    /// <summary>Tensors of at most one dimension, and names that end in <c>.bias</c>: ScienceQA.</summary>
    ByShape,
}

/// <summary>How the optimiser treats one parameter.</summary>
/// <param name="Trains">Whether it is trained at all.</param>
/// <param name="RateMultiplier">Factor on the learning rate.</param>
/// <param name="Decay">Weight decay, 0 for none.</param>
public readonly record struct ParameterGroup(bool Trains, float RateMultiplier, float Decay);

/// <summary>
/// The published rules that sort parameters by name into trained and frozen, decayed and not, with the head's own learning rate.
/// </summary>
/// <remarks>
/// <para>Names are those of the Hugging Face model without a leading <c>bert.</c>, and DVP's own (<c>prompt.</c>, <c>adapters.</c>,
/// <c>head.</c>...).</para>
/// <para>Frozen with adapters: the language model's embeddings (their norm too), attention and feed-forward. Its norms from the first
/// layer on train, and so does BERT's pooler, which nothing reads. <c>search.alphas</c> counts as trained but never gets a gradient.</para>
/// <para>The rules are by substring, with their surprises: T5's <c>relative_attention_bias.weight</c> contains <c>bias</c> and is not
/// decayed; the head's own norm, <c>head.1.weight</c>, matches nothing and is.</para>
/// </remarks>
public sealed record ParameterGroups
{
    private static readonly string[] s_languageModel =
        ["embeddings.", "encoder.", "decoder.", "pooler.", "shared.", "model.", "lm_head.", "cls."];
    private static readonly string[] s_visualEncoder = ["vision_model."];
    private static readonly string[] s_picture =
        ["prompt.", "token_type_embeddings.", "visual_projection.", "search.", "image_params", "image_projection.", "modality_embedding."];

    private static readonly string[] s_norms = ["LayerNorm.", "layer_norm.", "layernorm.", "norm."];
    private static readonly string[] s_spared = ["bias", "LayerNorm.weight", "norm.weight"];

    /// <summary>Makes the rules of a mode.</summary>
    /// <param name="mode">The mode.</param>
    /// <param name="adapters">Whether the language model has adapters; null: exactly in <see cref="TrainingMode.Adapter"/>.</param>
    /// <exception cref="DvpException">Adapter mode without adapters, or full mode with them.</exception>
    public ParameterGroups(TrainingMode mode, bool? adapters = null)
    {
        Mode = mode;
        Adapters = adapters ?? mode == TrainingMode.Adapter;
        if ((mode == TrainingMode.Adapter && !Adapters) || (mode == TrainingMode.Full && Adapters))
        {
            throw new DvpException(
                $"Training mode {mode} {(Adapters ? "excludes" : "needs")} adapters: choose the other mode or change the adapters.");
        }
    }

    /// <summary>The mode.</summary>
    public TrainingMode Mode { get; }

    /// <summary>Whether the language model has adapters and is frozen around them.</summary>
    public bool Adapters { get; }

    /// <summary>Whether the norms of a frozen language model train; not in ScienceQA.</summary>
    public bool TrainNorms { get; init; } = true;

    /// <summary>Factor on the head's learning rate: 10 for BERT and T5 on VQA and GQA, else 1.</summary>
    public float HeadMultiplier { get; init; } = 1;

    /// <summary>Factor on the learning rate of the prompt attention, which starts from nothing like the head does; 1 in the paper.</summary>
    public float PromptMultiplier { get; init; } = 1;

    /// <summary>Decay of the parameters that are decayed: 0.01, LLaMA 0.2, ScienceQA 0.05 (search 0.04).</summary>
    public float WeightDecay { get; init; } = 0.01f;

    /// <summary>Which parameters are not decayed.</summary>
    public DecayRule DecayRule { get; init; } = DecayRule.ByName;

    /// <summary>The group of a parameter.</summary>
    /// <param name="name">Its full name.</param>
    /// <param name="rank">Its number of dimensions, which only <see cref="DecayRule.ByShape"/> looks at.</param>
    public ParameterGroup Of(string name, int rank) =>
        new(Trains(name), IsHead(name) ? HeadMultiplier : IsPrompt(name) ? PromptMultiplier : 1, IsDecayed(name, rank) ? WeightDecay : 0);

    /// <summary>Whether a parameter trains.</summary>
    /// <param name="name">Its full name.</param>
    public bool Trains(string name)
    {
        if (StartsWithAny(name, s_visualEncoder))
        {
            return false;
        }

        if (StartsWithAny(name, s_languageModel))
        {
            return !Adapters || IsTrainedBesideAdapters(name);
        }

        return Mode != TrainingMode.TextOnly || !StartsWithAny(name, s_picture);
    }

    /// <summary>Whether weight decay applies to a parameter.</summary>
    /// <param name="name">Its full name.</param>
    /// <param name="rank">Its number of dimensions.</param>
    public bool IsDecayed(string name, int rank) => DecayRule == DecayRule.ByShape
        ? rank > 1 && !name.EndsWith(".bias", StringComparison.Ordinal)
        : !Array.Exists(s_spared, s => name.Contains(s, StringComparison.Ordinal));

    private static bool IsPrompt(string name) =>
        name.StartsWith("prompt.", StringComparison.Ordinal) || name.StartsWith("search.", StringComparison.Ordinal);

    private static bool IsHead(string name) => name.StartsWith("head.", StringComparison.Ordinal);

    private bool IsTrainedBesideAdapters(string name)
    {
        if (!TrainNorms || name.StartsWith("embeddings.", StringComparison.Ordinal))
        {
            return false;
        }

        return name.StartsWith("pooler.", StringComparison.Ordinal)
            || Array.Exists(s_norms, s => name.Contains(s, StringComparison.Ordinal));
    }

    private static bool StartsWithAny(string name, string[] prefixes) =>
        Array.Exists(prefixes, p => name.StartsWith(p, StringComparison.Ordinal));
}
