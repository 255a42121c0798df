using Dvp.Engine.Devices;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Prompting;

namespace Dvp.Profiling;

/// <summary>One op in the forms that are compared.</summary>
/// <param name="Part">Where in the model.</param>
/// <param name="Op">What is computed.</param>
/// <param name="Absorbed">FLOPs of a sample in DVP with absorbed prompt attention.</param>
/// <param name="Projected">The same with keys and values of all visual tokens projected, as published.</param>
/// <param name="AllTokens">In the baseline that gives every visual token to the language model.</param>
public sealed record FlopsComparisonRow(FlopsPart Part, string Op, double Absorbed, double Projected, double AllTokens);

/// <summary>FLOPs of a sample of the three forms, with and without two savings.</summary>
/// <param name="OnlyReadRow">Whether the last layer computes only the row that is read.</param>
/// <param name="WithEncoder">Whether the visual encoder counts, which cached features spare.</param>
/// <param name="Absorbed">DVP absorbed.</param>
/// <param name="Projected">DVP with keys and values projected.</param>
/// <param name="AllTokens">All visual tokens.</param>
public sealed record FlopsTotals(bool OnlyReadRow, bool WithEncoder, double Absorbed, double Projected, double AllTokens);

/// <summary>DVP absorbed, DVP with keys and values projected, and all visual tokens, op by op.</summary>
public sealed class FlopsComparison
{
    private FlopsComparison(
        FlopsTable absorbed, FlopsTable projected, FlopsTable allTokens, IReadOnlyList<FlopsComparisonRow> rows,
        IReadOnlyList<FlopsTotals> totals) =>
        (Absorbed, Projected, AllTokens, Rows, Totals) = (absorbed, projected, allTokens, rows, totals);

    /// <summary>DVP with absorbed prompt attention.</summary>
    public FlopsTable Absorbed { get; }

    /// <summary>DVP with keys and values projected.</summary>
    public FlopsTable Projected { get; }

    /// <summary>The baseline with all visual tokens.</summary>
    public FlopsTable AllTokens { get; }

    /// <summary>Every op of any of the forms, in the order of execution.</summary>
    public IReadOnlyList<FlopsComparisonRow> Rows { get; }

    /// <summary>The sums with all rows or the read one in the last layer, with and without the visual encoder where one is known.</summary>
    public IReadOnlyList<FlopsTotals> Totals { get; }

    /// <summary>Counts.</summary>
    /// <param name="settings">Model, sizes and options; its visual encoder counts where <paramref name="withEncoder"/> says so.</param>
    /// <param name="withEncoder">Whether the rows hold the visual encoder.</param>
    /// <exception cref="Engine.DvpException">A size or the layer is out of range.</exception>
    public static FlopsComparison Make(FlopsSettings settings, bool withEncoder = false)
    {
        FlopsSettings shown = settings with
        {
            Vision = withEncoder ? settings.Vision : null,
            VisualTokens = settings.VisualTokens ?? settings.Vision?.Tokens,
        };
        (FlopsTable absorbed, FlopsTable projected, FlopsTable all) = Count(shown);
        List<FlopsComparisonRow> rows = [];
        foreach ((FlopsPart part, string op) in absorbed.Rows.Concat(projected.Rows).Concat(all.Rows)
            .Select(r => (r.Part, r.Op)).Distinct().OrderBy(r => r.Part))
        {
            rows.Add(new FlopsComparisonRow(part, op, Of(absorbed, part, op), Of(projected, part, op), Of(all, part, op)));
        }

        List<FlopsTotals> totals = [];
        foreach (bool encoder in settings.Vision is null ? [false] : new[] { false, true })
        {
            foreach (bool only in new[] { true, false })
            {
                (FlopsTable a, FlopsTable p, FlopsTable t) = Count(
                    shown with { OnlyReadRow = only, Vision = encoder ? settings.Vision : null });
                totals.Add(new FlopsTotals(only, encoder, Sample(a), Sample(p), Sample(t)));
            }
        }

        return new FlopsComparison(absorbed, projected, all, rows, totals);
    }

    /// <summary>BERT-base, uncased.</summary>
    public static BertConfig BertBase { get; } = new()
    {
        VocabularySize = 30522,
        HiddenSize = 768,
        Layers = 12,
        Heads = 12,
        IntermediateSize = 3072,
        MaximumPositions = 512,
    };

    /// <summary>CLIP's ViT-B/16 at 224 pixels: 197 tokens of 768.</summary>
    public static ClipVisionConfig ClipBase { get; } = new()
    {
        HiddenSize = 768,
        IntermediateSize = 3072,
        Layers = 12,
        Heads = 12,
        ImageSize = 224,
        PatchSize = 16,
        Activation = Activation.QuickGelu,
    };

    /// <summary>The paper's DVP for a BERT: prompt attention as wide as the model with heads of 64, adapters of an eighth, a head of twice
    /// the width.</summary>
    /// <param name="bert">The language model.</param>
    /// <param name="vision">The visual encoder.</param>
    /// <param name="labels">Answers.</param>
    /// <param name="adapters">Whether there are adapters.</param>
    public static DvpConfig PaperDvp(BertConfig bert, ClipVisionConfig vision, int labels, bool adapters = true) => new()
    {
        Prompt = new PromptConfig(bert.HiddenSize, bert.Heads, vision.HiddenSize),
        Adapters = adapters ? new AdapterConfig(bert.HiddenSize / 8) : null,
        Head = new HeadConfig(2 * bert.HiddenSize, labels),
    };

    private static (FlopsTable Absorbed, FlopsTable Projected, FlopsTable AllTokens) Count(FlopsSettings settings) => (
        FlopsModel.Count(settings with { Kind = PromptKind.Dynamic, Absorbed = true }),
        FlopsModel.Count(settings with { Kind = PromptKind.Dynamic, Absorbed = false }),
        FlopsModel.Count(settings with { Kind = PromptKind.AllTokens }));

    private static double Of(FlopsTable table, FlopsPart part, string op) =>
        table.Rows.Where(r => r.Part == part && r.Op == op).Sum(r => (double)r.Flops) / table.Batch;

    private static double Sample(FlopsTable table) => (double)table.Flops / table.Batch;
}
