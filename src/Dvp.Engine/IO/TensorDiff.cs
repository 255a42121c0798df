using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>
/// Compares two named sets of tensors (files of results) in the order of execution: <c>|x - ref| &lt;= atol * scale + rtol * |ref|</c> or
/// the other forms of <see cref="CompareRules"/>. NaN equals NaN, an infinity equals itself.
/// </summary>
public static class TensorDiff
{
    /// <summary>Compares two safetensors files.</summary>
    /// <param name="actual">The file under test.</param>
    /// <param name="expected">The file to compare with.</param>
    /// <param name="rules">The tolerances.</param>
    public static TensorDiffReport Compare(string actual, string expected, CompareRules rules)
    {
        using SafetensorsFile a = new(actual);
        using SafetensorsFile b = new(expected);
        return Compare(a, b, rules);
    }

    /// <summary>Compares two sets of tensors.</summary>
    /// <param name="actual">The set under test.</param>
    /// <param name="expected">The set to compare with; what it lacks is not demanded.</param>
    /// <param name="rules">The tolerances.</param>
    /// <param name="select">Which names are compared; all where it is null.</param>
    public static TensorDiffReport Compare(ITensorSet actual, ITensorSet expected, CompareRules rules, Func<string, bool>? select = null)
    {
        List<TensorDifference> differences = [];
        ExecutionOrder order = new(rules.InsertionLayer ?? InferInsertionLayer(expected));
        HashSet<string> alternatives = [.. expected.Names.SelectMany(n => rules.Find(n)?.Alternatives ?? [])];
        foreach (string name in actual.Names.Union(expected.Names).Where(select ?? (_ => true)).Order(order))
        {
            if (expected.Contains(name))
            {
                bool onlyAlternative = alternatives.Contains(name) && !actual.Contains(name);
                differences.Add(onlyAlternative
                    ? new TensorDifference { Name = name, Kind = DifferenceKind.Skipped, Detail = "accepted in place of another" }
                    : CompareOne(name, actual, expected, rules.Find(name)));
            }
            else
            {
                differences.Add(new TensorDifference { Name = name, Kind = DifferenceKind.Extra, Detail = $"only in {actual.Origin}" });
            }
        }

        return new TensorDiffReport(differences);
    }

    /// <summary>Compares one tensor.</summary>
    /// <param name="name">Its name in both sets.</param>
    /// <param name="actual">The set under test.</param>
    /// <param name="expected">The set to compare with.</param>
    /// <param name="rule">The tolerance; null fails the comparison.</param>
    public static TensorDifference CompareOne(string name, ITensorSet actual, ITensorSet expected, CompareRule? rule)
    {
        TensorDifference outcome = new() { Name = name, Kind = DifferenceKind.Within, Rule = rule };
        if (rule is { IsSkip: true })
        {
            return outcome with { Kind = DifferenceKind.Skipped, Detail = $"not compared: {rule.Why}" };
        }

        if (!actual.Contains(name))
        {
            return outcome with { Kind = DifferenceKind.Missing, Detail = $"missing in {actual.Origin}" };
        }

        if (rule is null)
        {
            return outcome with { Kind = DifferenceKind.NoRule, Detail = "no rule of comparison fits the name" };
        }

        TensorDifference? best = null;
        foreach (string against in rule.Alternatives.Count == 0 ? [name] : rule.Alternatives.Where(expected.Contains))
        {
            TensorDifference one = CompareValues(outcome, actual, expected, against, rule);
            best = best is null || (best.IsFailure && !one.IsFailure) ? one : best;
        }

        string none = $"{expected.Origin} has none of {string.Join(", ", rule.Alternatives)}";
        return best ?? outcome with { Kind = DifferenceKind.Missing, Detail = none };
    }

    /// <summary>Compares values that a test holds in arrays.</summary>
    /// <param name="name">Name for the report.</param>
    /// <param name="actual">The values under test.</param>
    /// <param name="expected">The values to compare with, as many.</param>
    /// <param name="shape">Their shape.</param>
    /// <param name="rule">The tolerance.</param>
    public static TensorDifference CompareValues(
        string name, ReadOnlySpan<double> actual, ReadOnlySpan<double> expected, ReadOnlySpan<int> shape, CompareRule rule) =>
        new DifferenceCounter(rule, shape).Count(actual, expected, scale: double.NaN)
            .Finish(new TensorDifference { Name = name, Kind = DifferenceKind.Within, Rule = rule });

    private static TensorDifference CompareValues(
        TensorDifference outcome, ITensorSet actual, ITensorSet expected, string against, CompareRule rule)
    {
        ReadOnlySpan<int> shape = expected.ShapeOf(against);
        if (!shape.SequenceEqual(actual.ShapeOf(outcome.Name)))
        {
            return outcome with
            {
                Kind = DifferenceKind.Shape,
                Detail = $"shape {TensorShape.Format(actual.ShapeOf(outcome.Name))}, expected {TensorShape.Format(shape)}",
            };
        }

        bool integers = !actual.TypeOf(outcome.Name).IsFloat() && !expected.TypeOf(against).IsFloat();
        if (integers && rule.Kind != CompareKind.Bounds)
        {
            return new DifferenceCounter(rule, shape).Count(actual.ReadInt64(outcome.Name), expected.ReadInt64(against)).Finish(outcome);
        }

        double[] a = Read(actual, outcome.Name);
        double[] b = Read(expected, against);
        double scale = rule.ScaleOf is { } other && expected.Contains(other) ? Largest(Read(expected, other)) : double.NaN;
        return new DifferenceCounter(rule, shape).Count(a, b, scale).Finish(outcome);
    }

    /// <summary>Largest finite magnitude.</summary>
    internal static double Largest(ReadOnlySpan<double> values)
    {
        double largest = 0;
        foreach (double value in values)
        {
            double magnitude = Math.Abs(value);
            if (magnitude > largest && double.IsFinite(magnitude))
            {
                largest = magnitude;
            }
        }

        return largest;
    }

    private static double[] Read(ITensorSet set, string name)
    {
        double[] values = new double[TensorShape.Count(set.ShapeOf(name))];
        set.ReadDoubles(name, values);
        return values;
    }

    /// <summary>K from the shapes: <c>inserted</c> and the states above K have more rows a sequence than <c>hidden_states.K</c>.</summary>
    private static int? InferInsertionLayer(ITensorSet set)
    {
        if (!set.Contains("inserted") || set.ShapeOf("inserted") is not [_, int rows, ..])
        {
            return null;
        }

        string stem = set.Contains("decoder_hidden_states.0") ? "decoder_hidden_states." : "hidden_states.";
        int layer = -1;
        while (set.Contains(stem + (layer + 1)) && set.ShapeOf(stem + (layer + 1)) is [_, int below, ..] && below < rows)
        {
            layer++;
        }

        return layer < 0 ? null : layer;
    }
}
