using System.Globalization;

namespace Dvp.Engine.IO;

/// <summary>The outcome of comparing one tensor.</summary>
public enum DifferenceKind
{
    /// <summary>Within the tolerance.</summary>
    Within,

    /// <summary>Some elements are over the tolerance.</summary>
    Over,

    /// <summary>The shapes differ.</summary>
    Shape,

    /// <summary>The first file lacks the tensor.</summary>
    Missing,

    /// <summary>Only the first file has the tensor; nothing is demanded of it.</summary>
    Extra,

    /// <summary>The rules exclude the tensor.</summary>
    Skipped,

    /// <summary>The rules name no tolerance for the tensor.</summary>
    NoRule,
}

/// <summary>How one tensor compares.</summary>
public sealed record TensorDifference
{
    /// <summary>Name of the tensor.</summary>
    public required string Name { get; init; }

    /// <summary>The outcome.</summary>
    public required DifferenceKind Kind { get; init; }

    /// <summary>The rule that was applied.</summary>
    public CompareRule? Rule { get; init; }

    /// <summary>Number of elements compared.</summary>
    public long Count { get; init; }

    /// <summary>Largest <c>|x - ref|</c>; NaN where one side is NaN and the other is not.</summary>
    public double MaxAbsolute { get; init; }

    /// <summary><see cref="MaxAbsolute"/> over the largest <c>|ref|</c>; 0 where both are 0.</summary>
    public double RelativeToMax { get; init; }

    /// <summary>Root mean square of the differences over that of the expected values; 0 where both are 0.</summary>
    public double RelativeRms { get; init; }

    /// <summary>Mean of <c>|x - ref|</c>.</summary>
    public double MeanAbsolute { get; init; }

    /// <summary>Number of elements over the tolerance.</summary>
    public long CountOver { get; init; }

    /// <summary>Coordinates of the first element over the tolerance, in row-major order; null where none is.</summary>
    public IReadOnlyList<int>? FirstOver { get; init; }

    /// <summary>The value found there.</summary>
    public double Actual { get; init; }

    /// <summary>The value expected there.</summary>
    public double Expected { get; init; }

    /// <summary>More on the outcome: the two shapes, the reason for skipping.</summary>
    public string? Detail { get; init; }

    /// <summary>Whether the outcome makes the comparison fail.</summary>
    public bool IsFailure => Kind is DifferenceKind.Over or DifferenceKind.Shape or DifferenceKind.Missing or DifferenceKind.NoRule;

    /// <summary>One line: name, outcome, errors, and where the first element over tolerance is.</summary>
    public override string ToString()
    {
        string errors = string.Create(CultureInfo.InvariantCulture,
            $"largest difference {MaxAbsolute:0.###e+00} ({RelativeToMax:0.###e+00} of the largest)");
        return Kind switch
        {
            DifferenceKind.Within => $"{Name}: {errors}",
            DifferenceKind.Over when FirstOver is null => string.Create(CultureInfo.InvariantCulture,
                $"{Name}: over tolerance ({Rule}), {errors}, mean {MeanAbsolute:0.###e+00}"),
            DifferenceKind.Over => string.Create(CultureInfo.InvariantCulture,
                $"{Name}: {CountOver} of {Count} over tolerance ({Rule}), {errors}; ")
                + FormattableString.Invariant($"first at [{string.Join(", ", FirstOver)}]: {Actual:R}, expected {Expected:R}"),
            _ => $"{Name}: {Detail}",
        };
    }
}

/// <summary>The outcome of comparing two files of results.</summary>
/// <param name="Tensors">Every tensor of either file, in the order of execution.</param>
public sealed record TensorDiffReport(IReadOnlyList<TensorDifference> Tensors)
{
    /// <summary>Whether every expected tensor is there and within its tolerance.</summary>
    public bool Passed => First is null;

    /// <summary>The first tensor, in the order of execution, that is not.</summary>
    public TensorDifference? First => Tensors.FirstOrDefault(t => t.IsFailure);

    /// <summary>The failures, one a line, in the order of execution; one line of praise where there are none.</summary>
    public override string ToString()
    {
        int compared = Tensors.Count(t => t.Kind is DifferenceKind.Within or DifferenceKind.Over);
        return Passed
            ? string.Create(CultureInfo.InvariantCulture, $"{compared} tensors within tolerance.")
            : string.Join(Environment.NewLine, Tensors.Where(t => t.IsFailure));
    }
}
