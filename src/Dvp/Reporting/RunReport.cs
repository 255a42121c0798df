using Dvp.Evaluation;

namespace Dvp.Reporting;

/// <summary>
/// Everything that a run's report shows. Plain data: whoever runs the phases fills it in, sections without data are left out.
/// Accuracies and scores are in percent, times in the unit that the name says, sizes in bytes, FLOPs as counts.
/// </summary>
public sealed record RunReport
{
    /// <summary>The heading.</summary>
    public required string Title { get; init; }

    /// <summary>When the run ended.</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>The name of the settings, for instance "sample" or "paper".</summary>
    public string? Preset { get; init; }

    /// <summary>Sentences that belong at the top: what was found, and what speaks against it.</summary>
    public IReadOnlyList<string> Findings { get; init; } = [];

    /// <summary>What was run with what: command, seed, device, commit, data, every setting.</summary>
    public IReadOnlyList<ReportFact> Configuration { get; init; } = [];

    /// <summary>How the layer was chosen.</summary>
    public SearchReport? Search { get; init; }

    /// <summary>Curves of the training.</summary>
    public TrainingReport? Training { get; init; }

    /// <summary>What was reached, against the baselines.</summary>
    public AccuracyReport? Accuracy { get; init; }

    /// <summary>The analytic cost of a forward pass.</summary>
    public FlopsReport? Flops { get; init; }

    /// <summary>Measured times.</summary>
    public IReadOnlyList<LatencyRow> Latency { get; init; } = [];

    /// <summary>Wall seconds of each phase.</summary>
    public IReadOnlyList<PhaseTime> Phases { get; init; } = [];

    /// <summary>Memory by kind.</summary>
    public IReadOnlyList<MemoryUse> Memory { get; init; } = [];

    /// <summary>Some answered questions.</summary>
    public IReadOnlyList<ReportExample> Examples { get; init; } = [];
}

/// <summary>A line of the configuration table.</summary>
/// <param name="Name">What.</param>
/// <param name="Value">Its value as text.</param>
public sealed record ReportFact(string Name, string Value);

/// <summary>How the insertion layer was searched.</summary>
public sealed record SearchReport
{
    /// <summary>The algorithm: "KAB-APP", "exhaustive", ...</summary>
    public required string Algorithm { get; init; }

    /// <summary>The layer that was chosen.</summary>
    public required int Layer { get; init; }

    /// <summary>The preference alpha of every layer by step.</summary>
    public IReadOnlyList<PreferencePoint> Preferences { get; init; } = [];

    /// <summary>Draws, rewards and scores by layer.</summary>
    public IReadOnlyList<LayerReward> Rewards { get; init; } = [];

    /// <summary>Whether the choice is beyond chance; null when it was not tested.</summary>
    public bool? BeyondChance { get; init; }

    /// <summary>The same in words, see <see cref="SearchEvidence.Sentence"/>.</summary>
    public string? Finding { get; init; }

    /// <summary>Every layer trained and measured, when that was asked for.</summary>
    public IReadOnlyList<LayerResult> Exhaustive { get; init; } = [];

    /// <summary>What the table of all layers says, see <see cref="LayerComparison.Sentence"/>.</summary>
    public string? ExhaustiveFinding { get; init; }
}

/// <summary>The preferences after a step.</summary>
/// <param name="Step">The optimiser step.</param>
/// <param name="Alpha">One preference a layer.</param>
public sealed record PreferencePoint(int Step, IReadOnlyList<double> Alpha);

/// <summary>What a search saw of a layer.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Draws">How often it was scored.</param>
/// <param name="MeanReward">Mean of score less the step's mean, in points.</param>
/// <param name="MeanScore">Mean score, in percent.</param>
/// <param name="Probability">softmax(alpha) of the layer at the end.</param>
public sealed record LayerReward(int Layer, int Draws, double MeanReward, double MeanScore, double Probability);

/// <summary>The result of training at one layer.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Accuracy">In percent.</param>
/// <param name="LeadShare">Share of resampled question sets on which it is the best, in [0, 1].</param>
public sealed record LayerResult(int Layer, Interval Accuracy, double LeadShare);

/// <summary>A named curve.</summary>
/// <param name="Name">Shown in the legend.</param>
/// <param name="Points">In order of steps.</param>
public sealed record Curve(string Name, IReadOnlyList<CurvePoint> Points);

/// <summary>A value at a step.</summary>
/// <param name="Step">The optimiser step.</param>
/// <param name="Value">The value.</param>
public readonly record struct CurvePoint(double Step, double Value);

/// <summary>Curves of a training.</summary>
public sealed record TrainingReport
{
    /// <summary>Losses.</summary>
    public IReadOnlyList<Curve> Loss { get; init; } = [];

    /// <summary>Accuracies on held-out questions, in percent.</summary>
    public IReadOnlyList<Curve> Accuracy { get; init; } = [];
}

/// <summary>What was reached on a split.</summary>
public sealed record AccuracyReport
{
    /// <summary>The split.</summary>
    public required string Split { get; init; }

    /// <summary>Its number of questions.</summary>
    public required int Questions { get; init; }

    /// <summary>The model first, then what it is compared with.</summary>
    public required IReadOnlyList<SystemAccuracy> Systems { get; init; }

    /// <summary>The same by question type.</summary>
    public IReadOnlyList<TypeAccuracy> ByType { get; init; } = [];
}

/// <summary>The accuracy of a model or baseline.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Accuracy">In percent, with a bootstrap interval.</param>
public sealed record SystemAccuracy(string Name, Interval Accuracy);

/// <summary>Accuracies on one type of question.</summary>
/// <param name="Type">The type.</param>
/// <param name="Count">Questions of it.</param>
/// <param name="Systems">In percent, in the order of <see cref="AccuracyReport.Systems"/>.</param>
public sealed record TypeAccuracy(string Type, int Count, IReadOnlyList<Interval> Systems);

/// <summary>The analytic cost table.</summary>
/// <param name="Note">What is counted: model, K, lengths.</param>
/// <param name="Rows">One row an operation; the total is added when shown.</param>
public sealed record FlopsReport(string Note, IReadOnlyList<FlopsRow> Rows);

/// <summary>FLOPs of one operation for one example.</summary>
/// <param name="Operation">Its name.</param>
/// <param name="Absorbed">In DVP with absorbed prompt attention, as it is computed here.</param>
/// <param name="Projected">In DVP with keys and values projected, as published.</param>
/// <param name="AllTokens">In the baseline that gives every visual token to the language model.</param>
public sealed record FlopsRow(string Operation, double Absorbed, double Projected, double AllTokens);

/// <summary>A measured time.</summary>
/// <param name="What">What was run.</param>
/// <param name="Batch">Examples at once.</param>
/// <param name="MedianMilliseconds">The median.</param>
/// <param name="P95Milliseconds">The 95 % quantile.</param>
public sealed record LatencyRow(string What, int Batch, double MedianMilliseconds, double P95Milliseconds);

/// <summary>How long a phase took.</summary>
/// <param name="Name">The phase.</param>
/// <param name="Seconds">Wall seconds.</param>
public sealed record PhaseTime(string Name, double Seconds);

/// <summary>Memory of one kind.</summary>
/// <param name="Kind">Weights, activations, optimiser, features, ...</param>
/// <param name="Bytes">Bytes.</param>
public sealed record MemoryUse(string Kind, long Bytes);

/// <summary>An answered question.</summary>
public sealed record ReportExample
{
    /// <summary>The question.</summary>
    public required string Question { get; init; }

    /// <summary>The best answers, the first first.</summary>
    public required IReadOnlyList<AnswerProbability> Answers { get; init; }

    /// <summary>What people said; null when that is not known.</summary>
    public string? TrueAnswer { get; init; }

    /// <summary>The picture.</summary>
    public ReportPicture? Picture { get; init; }

    /// <summary>Where the prompt attention looked.</summary>
    public AttentionGrid? Attention { get; init; }
}

/// <summary>An answer with the model's probability.</summary>
/// <param name="Answer">The answer.</param>
/// <param name="Probability">In [0, 1].</param>
public sealed record AnswerProbability(string Answer, double Probability);

/// <summary>A picture as it lies on disk.</summary>
/// <param name="Bytes">The file's bytes: PNG, JPEG, GIF, BMP or WebP.</param>
/// <param name="Width">Pixels across.</param>
/// <param name="Height">Pixels down.</param>
public sealed record ReportPicture(byte[] Bytes, int Width, int Height)
{
    /// <summary>The picture as a data URI, its kind told from its first bytes.</summary>
    internal string DataUri()
    {
        string kind = Bytes switch
        {
            [0xFF, 0xD8, ..] => "jpeg",
            [(byte)'G', (byte)'I', (byte)'F', ..] => "gif",
            [(byte)'B', (byte)'M', ..] => "bmp",
            [(byte)'R', (byte)'I', (byte)'F', (byte)'F', ..] => "webp",
            _ => "png",
        };
        return $"data:image/{kind};base64,{Convert.ToBase64String(Bytes)}";
    }
}
