namespace Dvp.Evaluation;

/// <summary>Whether the best of several layers, measured on the same examples, is better than chance would make it.</summary>
public sealed record LayerComparison
{
    /// <summary>The layer with the highest mean; the lowest of equals.</summary>
    public required int Best { get; init; }

    /// <summary>Mean score and bootstrap interval of each layer.</summary>
    public required IReadOnlyList<Interval> Layers { get; init; }

    /// <summary>
    /// How often each layer leads when the examples are drawn anew: the chance that another set of questions would have made the
    /// same choice. Sums to 1.
    /// </summary>
    public required IReadOnlyList<double> LeadShare { get; init; }

    /// <summary>The paired difference between the best layer and the second, with its interval.</summary>
    public required Interval LeadOverSecond { get; init; }

    /// <summary>
    /// Share of random exchanges of the layers' scores within each example that give the best layer as large a lead over the
    /// mean of all. Small: the lead is no accident of which questions were asked.
    /// </summary>
    public required double PValue { get; init; }

    /// <summary>Whether <see cref="PValue"/> is below the level of the test.</summary>
    public required bool IsBeyondChance { get; init; }

    /// <summary>The finding in plain words.</summary>
    public required string Sentence { get; init; }
}

/// <summary>One mini-validation step of a search: the layers drawn and their scores on the same batch.</summary>
/// <param name="Layers">The layers in the order drawn; one may stand twice.</param>
/// <param name="Scores">Their scores in percent.</param>
public sealed record SearchStep(IReadOnlyList<int> Layers, IReadOnlyList<double> Scores);

/// <summary>Whether a bandit's preference is stronger than chance rewards would have made it.</summary>
public sealed record SearchEvidence
{
    /// <summary>The layer with the highest preference.</summary>
    public required int Best { get; init; }

    /// <summary>softmax(alpha) of that layer at the end of the search.</summary>
    public required double Probability { get; init; }

    /// <summary>The median of the same number over searches with exchanged rewards.</summary>
    public required double ChanceMedian { get; init; }

    /// <summary>Its 95 % quantile over searches with exchanged rewards.</summary>
    public required double ChanceQuantile95 { get; init; }

    /// <summary>Share of searches with exchanged rewards that end with as strong a preference.</summary>
    public required double PValue { get; init; }

    /// <summary>Whether <see cref="PValue"/> is below the level of the test.</summary>
    public required bool IsBeyondChance { get; init; }

    /// <summary>The finding in plain words.</summary>
    public required string Sentence { get; init; }
}
