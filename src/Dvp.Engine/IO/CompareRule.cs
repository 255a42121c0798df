namespace Dvp.Engine.IO;

/// <summary>What the absolute part of a tolerance is multiplied by.</summary>
public enum RelativeTo
{
    /// <summary>1: the tolerance is in the tensor's own units.</summary>
    Absolute,

    /// <summary>1, as <see cref="Absolute"/>: used where the relative part, which goes by element, is the main one.</summary>
    Element,

    /// <summary>The largest magnitude in the expected tensor.</summary>
    Max,
}

/// <summary>How a tensor is compared.</summary>
public enum CompareKind
{
    /// <summary><c>|x - ref| &lt;= atol * scale + rtol * |ref|</c>; integers of both sides exactly.</summary>
    Tolerance,

    /// <summary>Equal values.</summary>
    Exact,

    /// <summary>Bounds on the largest and on the mean absolute difference of the whole tensor (decoded pictures).</summary>
    Bounds,

    /// <summary>Not compared; <see cref="CompareRule.Why"/> says why.</summary>
    Skip,
}

/// <summary>One rule of a case's <c>compare</c>.</summary>
public sealed record CompareRule
{
    /// <summary>How values are compared.</summary>
    public required CompareKind Kind { get; init; }

    /// <summary>Relative part, by element.</summary>
    public double RelativeTolerance { get; init; }

    /// <summary>Absolute part, in units of <see cref="RelativeTo"/>.</summary>
    public double AbsoluteTolerance { get; init; }

    /// <summary>Unit of <see cref="AbsoluteTolerance"/>.</summary>
    public RelativeTo RelativeTo { get; init; }

    /// <summary>Largest absolute difference of <see cref="CompareKind.Bounds"/>.</summary>
    public double LargestDifference { get; init; } = double.PositiveInfinity;

    /// <summary>Largest mean absolute difference of <see cref="CompareKind.Bounds"/>.</summary>
    public double MeanDifference { get; init; } = double.PositiveInfinity;

    /// <summary>
    /// <see cref="LargestDifference"/> of the two last columns of a picture (height, width, channels), where decoders of subsampled
    /// colour differ most; null where they are as the rest.
    /// </summary>
    public double? LargestDifferenceInLastColumns { get; init; }

    /// <summary>Names of expected tensors of which any one may be met instead of the one of the same name; empty for that one.</summary>
    public IReadOnlyList<string> Alternatives { get; init; } = [];

    /// <summary>
    /// For a tensor that is zero in exact arithmetic: the absolute tolerance is <see cref="AbsoluteTolerance"/> times the largest magnitude
    /// of this expected tensor, or <see cref="AbsoluteTolerance"/> itself where that is zero.
    /// </summary>
    public string? ScaleOf { get; init; }

    /// <summary>The reason given for the rule.</summary>
    public string? Why { get; init; }

    /// <summary>Whether the rule makes no demand.</summary>
    public bool IsSkip => Kind == CompareKind.Skip;

    /// <summary>"1e-05 of the largest + 1e-05 relative".</summary>
    public override string ToString() => Kind switch
    {
        CompareKind.Exact => Alternatives.Count == 0 ? "exact" : "exact against " + string.Join(" or ", Alternatives),
        CompareKind.Skip => $"not compared: {Why}",
        CompareKind.Bounds => FormattableString.Invariant($"at most {LargestDifference}, mean {MeanDifference}"),
        _ when ScaleOf is not null => FormattableString.Invariant($"{AbsoluteTolerance} of the largest of {ScaleOf}"),
        _ when RelativeTo == RelativeTo.Max =>
            FormattableString.Invariant($"{AbsoluteTolerance} of the largest + {RelativeTolerance} relative"),
        _ => FormattableString.Invariant($"{AbsoluteTolerance} + {RelativeTolerance} relative"),
    };
}
