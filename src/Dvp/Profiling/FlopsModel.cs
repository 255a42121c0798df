using Dvp.Engine;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Prompting;

namespace Dvp.Profiling;

/// <summary>What to count.</summary>
public sealed record FlopsSettings
{
    /// <summary>The language model.</summary>
    public required BertConfig Bert { get; init; }

    /// <summary>Prompt, adapters and head; its layer is overruled by <see cref="Layer"/>.</summary>
    public required DvpConfig Dvp { get; init; }

    /// <summary>K, in [0, L); null takes the DVP's own. Text alone has none.</summary>
    public int? Layer { get; init; }

    /// <summary>B, samples.</summary>
    public int Batch { get; init; } = 1;

    /// <summary>T, text tokens; null takes the DVP's text length.</summary>
    public int? TextTokens { get; init; }

    /// <summary>N, visual tokens of a picture; null takes the encoder's.</summary>
    public int? VisualTokens { get; init; }

    /// <summary>The visual encoder, counted too; null where features are cached.</summary>
    public ClipVisionConfig? Vision { get; init; }

    /// <summary>How the picture enters; null takes the DVP's own kind.</summary>
    public PromptKind? Kind { get; init; }

    /// <summary>Whether prompt attention is absorbed, or projects keys and values of all visual tokens.</summary>
    public bool Absorbed { get; init; } = true;

    /// <summary>Whether the last layer computes only the row that the head reads (keys and values of all).</summary>
    public bool OnlyReadRow { get; init; } = true;

    /// <summary>Whether to count a training step: with adapters these, norms, prompt and head; else all but the visual encoder.</summary>
    public bool Training { get; init; }

    /// <summary>Bytes of a weight.</summary>
    public int WeightBytes { get; init; } = 4;

    /// <summary>Bytes of an activation or a visual feature.</summary>
    public int ActivationBytes { get; init; } = 4;
}

/// <summary>
/// The analytic cost of DVP on BERT and of the baselines, op by op. A FLOP is half a multiply-add of a matrix product; norms, softmax,
/// activations and copies count bytes only.
/// </summary>
public static class FlopsModel
{
    /// <summary>Counts a forward pass or a training step.</summary>
    /// <param name="settings">Model, sizes, options.</param>
    /// <exception cref="DvpException">K or a size is out of range or missing.</exception>
    public static FlopsTable Count(FlopsSettings settings)
    {
        PromptKind kind = settings.Kind ?? settings.Dvp.Kind;
        (int batch, int layers) = (settings.Batch, settings.Bert.Layers);
        int text = settings.TextTokens ?? settings.Dvp.TextLength;
        int visual = kind == PromptKind.None ? 0 : settings.VisualTokens ?? settings.Vision?.Tokens
            ?? throw new DvpException("The number of visual tokens is not known: give it, or the visual encoder.");
        int layer = kind == PromptKind.None ? layers : settings.Layer ?? settings.Dvp.Layer
            ?? throw new DvpException("The DVP has no insertion layer yet: give one.");
        if (batch < 1 || text < 1 || (kind != PromptKind.None && (layer < 0 || layer >= layers || visual < 1)))
        {
            throw new DvpException(
                $"Batch {batch}, {text} text tokens, " +
                $"{visual} visual tokens and layer {layer}: sizes must be positive and the layer in [0, {layers}).");
        }

        FlopsCounter counter = new(settings.WeightBytes, settings.ActivationBytes, settings.Training);
        if (settings.Vision is { } vision && kind != PromptKind.None)
        {
            CountVision(counter, vision, batch);
        }

        int c = settings.Bert.HiddenSize;
        bool languageModelTrains = settings.Dvp.Adapters is null;
        BertConfig bert = settings.Bert;
        bool flows = counter.Lookup(
            FlopsPart.Embeddings,
            "words, positions, norm",
            5L * batch * text * c,
            (bert.VocabularySize + bert.MaximumPositions + bert.TokenTypes + 2L) * c,
            languageModelTrains);
        int tokens = text;
        for (int i = 0; i < layers; i++)
        {
            if (i == layer)
            {
                tokens += CountPrompt(counter, settings, kind, visual, flows);
                flows = true; // the prompt trains
            }

            bool last = i == layers - 1;
            FlopsPart part = last ? FlopsPart.LastLayer : i < layer ? FlopsPart.Prefix : FlopsPart.Suffix;
            flows = CountLayer(counter, settings, part, tokens, last && settings.OnlyReadRow ? 1 : tokens, flows);
        }

        HeadConfig head = settings.Dvp.Head;
        flows = counter.Linear(FlopsPart.Head, "dense", batch, c, head.HiddenSize, trains: true, flows);
        counter.Elementwise(FlopsPart.Head, "norm, GELU", 4L * batch * head.HiddenSize, 2L * head.HiddenSize, trains: true, flows);
        counter.Linear(FlopsPart.Head, "answers", batch, head.HiddenSize, head.Labels, trains: true, flows: true);
        counter.Optimizer();
        return new FlopsTable(Title(settings, kind, layer), batch, counter.Rows);
    }

    /// <summary>
    /// The forms that <c>dvp flops</c> sets side by side: DVP absorbed, DVP with keys and values projected, all visual tokens,
    /// mean-pooled, text only.
    /// </summary>
    /// <param name="settings">Model, sizes, options; kind and absorption are set for each form.</param>
    public static IReadOnlyList<FlopsTable> CountForms(FlopsSettings settings) =>
    [
        Count(settings with { Kind = PromptKind.Dynamic, Absorbed = true }),
        Count(settings with { Kind = PromptKind.Dynamic, Absorbed = false }),
        Count(settings with { Kind = PromptKind.AllTokens }),
        Count(settings with { Kind = PromptKind.MeanPooled }),
        Count(settings with { Kind = PromptKind.None }),
    ];

    /// <summary>Forward FLOPs of scoring several insertion layers on one batch from cached features.</summary>
    /// <param name="settings">Model, sizes, options.</param>
    /// <param name="layers">The layers; one that stands twice is scored once when the prefix is shared.</param>
    /// <returns>With the text's states below each K computed once for all, and with a whole pass for each.</returns>
    public static (long SharedPrefix, long WholePasses) ScoreLayers(FlopsSettings settings, ReadOnlySpan<int> layers)
    {
        int? visual = settings.VisualTokens ?? settings.Vision?.Tokens;
        FlopsSettings scoring = settings with { Training = false, Vision = null, VisualTokens = visual };
        long prefix = 0;
        long rest = 0;
        long whole = 0;
        HashSet<int> seen = [];
        foreach (int layer in layers)
        {
            FlopsTable table = Count(scoring with { Layer = layer });
            whole += table.ForwardFlops;
            if (seen.Add(layer))
            {
                long below = table.ForwardFlopsOf(FlopsPart.Prefix);
                prefix = Math.Max(prefix, below);
                rest += table.ForwardFlops - below;
            }
        }

        return (prefix + rest, whole);
    }

    private static void CountVision(FlopsCounter counter, ClipVisionConfig vision, int batch)
    {
        const FlopsPart part = FlopsPart.VisualEncoder;
        long n = vision.Tokens;
        (long w, long rows) = (vision.HiddenSize, batch * n);
        long patch = 3L * vision.PatchSize * vision.PatchSize;
        counter.Linear(part, "patches", batch * (n - 1), patch, w, trains: false, flows: false);
        for (int i = 0; i < vision.Layers; i++)
        {
            counter.Elementwise(part, "norms", 4 * rows * w, 4 * w, trains: false, flows: false);
            counter.Linear(part, "query, key, value", rows, w, 3 * w, trains: false, flows: false);
            counter.Product(part, "attention", 4 * batch * n * n * w, 4 * rows * w, 0, 0);
            counter.Linear(part, "attention output", rows, w, w, trains: false, flows: false);
            counter.Linear(part, "feed-forward in", rows, w, vision.IntermediateSize, trains: false, flows: false);
            counter.Linear(part, "feed-forward out", rows, vision.IntermediateSize, w, trains: false, flows: false);
        }
    }

    /// <summary>Counts what makes the prompt; returns its number of tokens.</summary>
    private static int CountPrompt(FlopsCounter counter, FlopsSettings settings, PromptKind kind, int visual, bool flows)
    {
        const FlopsPart part = FlopsPart.Prompt;
        long batch = settings.Batch;
        long c = settings.Bert.HiddenSize;
        PromptConfig prompt = settings.Dvp.Prompt;
        (long m, long v, long n) = (prompt.HiddenSize, prompt.VisualSize, visual);
        int made = kind == PromptKind.AllTokens ? visual : kind == PromptKind.MeanPooled ? 1 : prompt.Prompts;
        if (kind == PromptKind.Dynamic)
        {
            long queries = batch * prompt.Prompts;
            counter.Linear(part, "query projection", queries, c, m, trains: true, flows);
            if (settings.Absorbed)
            {
                // Per head: u = W_K^T q, then s = u x / sqrt(D) and z = sum p x in one read of the features, then W_V z. No gradient to x.
                // u and z have V channels a head.
                long perHead = queries * prompt.Heads;
                long projection = 2 * queries * m * v;
                long vectors = (queries * m) + (perHead * v);
                counter.WeightedProduct(part, "absorb keys", projection, vectors, (m * v) + m, trains: true, flows: true);
                counter.Product(
                    part, "scores and mixture", 4 * perHead * n * v,
                    (batch * n * v) + (perHead * (n + (2 * v))),
                    1,
                    (batch * n * v) + (perHead * (n + (4 * v))));
                counter.WeightedProduct(part, "absorb values", projection, vectors, (m * v) + m, trains: true, flows: true);
            }
            else
            {
                counter.Linear(part, "key projection", batch * n, v, m, trains: true, flows: false);
                counter.Linear(part, "value projection", batch * n, v, m, trains: true, flows: false);
                counter.Product(part, "attention", 4 * queries * n * m,
                    (2 * batch * n * m) + (2 * queries * m), 2,
                    (4 * batch * n * m) + (4 * queries * m));
            }

            counter.Linear(part, "output projection", queries, m, c, trains: true, flows: true);
        }
        else
        {
            if (kind == PromptKind.MeanPooled)
            {
                counter.Elementwise(part, "mean", batch * (n + 1) * v, 0, trains: false, flows: false);
            }

            counter.Linear(part, "visual map", batch * made, v, c, trains: true, flows: false);
        }

        long joined = batch * (made + (settings.TextTokens ?? settings.Dvp.TextLength));
        counter.Elementwise(part, "insertion, types", 2 * joined * c, 2 * c, trains: true, flows: true);
        return made;
    }

    private static bool CountLayer(FlopsCounter counter, FlopsSettings settings, FlopsPart part, int tokens, int read, bool flows)
    {
        long batch = settings.Batch;
        (long c, long inner) = (settings.Bert.HiddenSize, settings.Bert.IntermediateSize);
        bool trains = settings.Dvp.Adapters is null;
        (long all, long rows) = (batch * tokens, batch * read);
        if (read == tokens)
        {
            counter.Linear(part, "query, key, value", all, c, 3 * c, trains, flows);
        }
        else
        {
            counter.Linear(part, "query", rows, c, c, trains, flows);
            counter.Linear(part, "key, value", all, c, 2 * c, trains, flows);
        }

        flows |= trains;
        long attended = (2 * rows * c) + (2 * all * c);
        counter.Product(part, "attention", 4 * rows * tokens * c, attended, flows ? 2 : 0, 2 * attended);
        flows = counter.Linear(part, "attention output", rows, c, c, trains, flows);
        flows = CountAdapter(counter, settings, part, rows, flows);
        flows = counter.Elementwise(part, "norms", 3 * rows * c, 2 * c, trains: true, flows);
        flows = counter.Linear(part, "feed-forward in", rows, c, inner, trains, flows);
        flows = counter.Linear(part, "feed-forward out", rows, inner, c, trains, flows);
        flows = CountAdapter(counter, settings, part, rows, flows);
        return counter.Elementwise(part, "norms", 3 * rows * c, 2 * c, trains: true, flows);
    }

    private static bool CountAdapter(FlopsCounter counter, FlopsSettings settings, FlopsPart part, long rows, bool flows)
    {
        if (settings.Dvp.Adapters is not { } adapter)
        {
            return flows;
        }

        int c = settings.Bert.HiddenSize;
        flows = counter.Linear(part, "adapter down", rows, c, adapter.HiddenSize, trains: true, flows);
        return counter.Linear(part, "adapter up", rows, adapter.HiddenSize, c, trains: true, flows);
    }

    private static string Title(FlopsSettings settings, PromptKind kind, int layer)
    {
        string form = kind switch
        {
            PromptKind.Dynamic when settings.Absorbed => "DVP, absorbed",
            PromptKind.Dynamic => "DVP, keys and values projected",
            PromptKind.AllTokens => "all visual tokens",
            PromptKind.MeanPooled => "mean-pooled prompt",
            _ => "text only",
        };
        string where = kind == PromptKind.None ? string.Empty : $", K = {layer}";
        string step = settings.Training ? settings.Dvp.Adapters is null ? ", full training step" : ", adapter training step" : ", forward";
        return form + where + step
            + (settings.OnlyReadRow ? string.Empty : ", all rows of the last layer")
            + (settings.Vision is null ? string.Empty : ", with visual encoder");
    }
}
