using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Dvp.Engine.IO;

/// <summary>
/// The rules by which one file of results is compared with another: the <c>compare</c> object of a golden case's case.json, pattern ->
/// tolerance. <c>*</c> in a pattern stands for any characters, dots included; the most specific pattern wins: the one with the most
/// characters besides <c>*</c>, a name without <c>*</c> before all.
/// </summary>
/// <remarks>
/// Forms: <c>{"rtol", "atol", "relative_to": "max" | "absolute" | "element", "why"}</c> (absent numbers are 0, an absent unit is
/// absolute); <c>"exact"</c>; <c>"exact against A or B"</c>; <c>"information"</c> and <c>{"skip": reason}</c>;
/// <c>{"max_abs", "mean_abs", "max_abs_in_the_two_right_hand_columns"}</c>. A pattern <c>name from `other`</c> or
/// <c>name from the file</c> holds where the caller says what the tensor was computed from. Inside a rule, another tensor's name with
/// <c>"exact gradient is zero: |g| &lt;= A * max|other|, or A where that too is zero"</c> is a rule for that tensor.
/// Anything else is refused, so that no rule is passed over in silence.
/// </remarks>
public sealed partial class CompareRules
{
    private readonly List<(string Pattern, string? From, CompareRule Rule)> _rules = [];

    private CompareRules()
    {
    }

    /// <summary>The layer before which the prompt enters (<c>K</c> of the case); the order of execution depends on it.</summary>
    public int? InsertionLayer { get; private set; }

    /// <summary>One tolerance for every tensor; integers exactly.</summary>
    /// <param name="relative">Relative part, by element.</param>
    /// <param name="absolute">Absolute part.</param>
    /// <param name="relativeTo">Unit of the absolute part.</param>
    public static CompareRules Uniform(double relative, double absolute, RelativeTo relativeTo = RelativeTo.Max)
    {
        CompareRules rules = new();
        rules._rules.Add(("*", null, new CompareRule
        {
            Kind = CompareKind.Tolerance,
            RelativeTolerance = relative,
            AbsoluteTolerance = absolute,
            RelativeTo = relativeTo,
        }));
        return rules;
    }

    /// <summary>Reads the rules of a case.</summary>
    /// <param name="path">A case.json, or the folder that holds it.</param>
    /// <exception cref="DvpException">The file is missing, is not JSON, or has a rule of an unknown form.</exception>
    public static CompareRules Load(string path)
    {
        string file = Directory.Exists(path) ? Path.Combine(path, "case.json") : path;
        try
        {
            return Parse(File.ReadAllBytes(file), file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"The rules of comparison cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads the rules from the text of a case.json.</summary>
    /// <param name="json">The text in UTF-8.</param>
    /// <param name="file">Name of the file for messages.</param>
    public static CompareRules Parse(ReadOnlyMemory<byte> json, string file)
    {
        CompareRules rules = new();
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            if (document.RootElement.TryGetProperty("K", out JsonElement layer) && layer.TryGetInt32(out int k))
            {
                rules.InsertionLayer = k;
            }

            if (!document.RootElement.TryGetProperty("compare", out JsonElement compare))
            {
                throw new DvpException($"{file} has no \"compare\": give tolerances instead of a case.");
            }

            foreach (JsonProperty property in compare.EnumerateObject())
            {
                string[] parts = property.Name.Split(" from ", 2);
                rules.Add(parts[0], parts.Length == 2 ? parts[1].Trim('`') : null, property.Value, file);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new DvpException($"{file} is not a case with rules of comparison: {e.Message}", e);
        }

        return rules;
    }

    /// <summary>The rule for a tensor, or null where none fits.</summary>
    /// <param name="name">Name of the tensor.</param>
    /// <param name="from">
    /// What it was computed from, where the case makes a difference: another tensor's name, or "the file". When it is null, a rule for
    /// "the file" serves where there is none without a source.
    /// </param>
    public CompareRule? Find(string name, string? from = null) =>
        MostSpecific(name, from) ?? MostSpecific(name, null) ?? (from is null ? MostSpecific(name, "the file") : null);

    [GeneratedRegex(@"\|g\| <= (\S+) \* max\|(\S+)\|, or (\S+) where that too is zero")]
    private static partial Regex ZeroGradient();

    private static CompareRule FromText(string text, string pattern, string file)
    {
        if (text == "information")
        {
            return new CompareRule { Kind = CompareKind.Skip, Why = "for information" };
        }

        if (text == "exact")
        {
            return new CompareRule { Kind = CompareKind.Exact };
        }

        const string Against = "exact against ";
        if (text.StartsWith(Against, StringComparison.Ordinal))
        {
            return new CompareRule
            {
                Kind = CompareKind.Exact,
                Alternatives = [.. text[Against.Length..].Split(" or ").Select(t => t.Split(' ')[0])],
            };
        }

        Match match = ZeroGradient().Match(text);
        if (match.Success && match.Groups[1].Value == match.Groups[3].Value)
        {
            return new CompareRule
            {
                Kind = CompareKind.Tolerance,
                AbsoluteTolerance = double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture),
                ScaleOf = match.Groups[2].Value,
                Why = text,
            };
        }

        throw new DvpException($"{file}: the rule for {pattern} is not understood: \"{text}\".");
    }

    private void Add(string pattern, string? from, JsonElement value, string file)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            _rules.Add((pattern, from, FromText(value.GetString()!, pattern, file)));
            return;
        }

        CompareRule rule = new() { Kind = CompareKind.Tolerance };
        foreach (JsonProperty property in value.EnumerateObject())
        {
            JsonElement v = property.Value;
            switch (property.Name)
            {
                case "rtol":
                    rule = rule with { RelativeTolerance = v.GetDouble() };
                    break;
                case "atol":
                    rule = rule with { AbsoluteTolerance = v.GetDouble() };
                    break;
                case "relative_to":
                    rule = rule with { RelativeTo = Unit(v.GetString(), pattern, file) };
                    break;
                case "max_abs":
                    rule = rule with { Kind = CompareKind.Bounds, LargestDifference = v.GetDouble() };
                    break;
                case "mean_abs":
                    rule = rule with { Kind = CompareKind.Bounds, MeanDifference = v.GetDouble() };
                    break;
                case "max_abs_in_the_two_right_hand_columns":
                    rule = rule with { Kind = CompareKind.Bounds, LargestDifferenceInLastColumns = v.GetDouble() };
                    break;
                case "skip":
                    rule = rule with { Kind = CompareKind.Skip, Why = v.GetString() };
                    break;
                case "why":
                    rule = rule with { Why = v.GetString() };
                    break;
                case "pytorch_absolute_error": // what another implementation reaches: information
                    break;
                default:
                    if (v.ValueKind != JsonValueKind.String)
                    {
                        throw new DvpException($"{file}: the rule for {pattern} has an unknown part \"{property.Name}\".");
                    }

                    _rules.Add(("*" + property.Name, from, FromText(v.GetString()!, property.Name, file)));
                    break;
            }
        }

        _rules.Add((pattern, from, rule));
    }

    private static RelativeTo Unit(string? text, string pattern, string file) => text switch
    {
        "max" => RelativeTo.Max,
        "absolute" => RelativeTo.Absolute,
        "element" => RelativeTo.Element,
        _ => throw new DvpException($"{file}: relative_to of {pattern} is \"{text}\"; it must be max, absolute or element."),
    };

    private CompareRule? MostSpecific(string name, string? from)
    {
        (CompareRule? best, int literal) = (null, -1);
        foreach ((string pattern, string? ruleFrom, CompareRule rule) in _rules)
        {
            int specific = pattern.Contains('*', StringComparison.Ordinal) ? pattern.Length - pattern.AsSpan().Count('*') : int.MaxValue;
            if (ruleFrom == from && specific > literal && NamePattern.Fits(pattern, name))
            {
                (best, literal) = (rule, specific);
            }
        }

        return best;
    }
}
