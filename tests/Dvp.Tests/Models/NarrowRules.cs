using System.Text.Json;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Models;

/// <summary>
/// Tolerances of a whole model in 16 bits: a multiple of the error that PyTorch was measured to make in the same type on the same case, which
/// the case states. Where no error of PyTorch is known (gradients of the published code), that of the states stands in for it.
/// </summary>
internal sealed class NarrowRules
{
    private const double StateFactor = 4;
    private const double GradientFactor = 8;
    private readonly JsonElement _errors;
    private readonly JsonElement? _compare;
    private readonly string _type;
    private readonly double _worstState;

    /// <summary>Reads a case.</summary>
    /// <param name="caseFile">case.json</param>
    /// <param name="type">BF16 or F16.</param>
    public NarrowRules(string caseFile, ElementType type)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(caseFile));
        JsonElement root = document.RootElement.Clone();
        _type = type == ElementType.BF16 ? "bfloat16" : "float16";
        _compare = root.TryGetProperty("compare", out JsonElement compare) ? compare : null;
        JsonElement? all = root.TryGetProperty("pytorch_error", out JsonElement own) ? own
            : root.TryGetProperty("measured_pytorch_error_relative_to_max", out JsonElement measured)
                && measured.ValueKind == JsonValueKind.Object ? measured
            : null;
        _errors = all is { } a && a.TryGetProperty(_type, out JsonElement errors) ? errors : default;
        _worstState = _errors.ValueKind == JsonValueKind.Object
            ? _errors.EnumerateObject().Where(e => !e.Name.StartsWith("grad", StringComparison.Ordinal) && e.Name != "zero_gradients")
                .Max(e => Number(e.Value))
            : type == ElementType.BF16 ? 0.015 : 0.0025; // no error was measured for this case
    }

    /// <summary>The rule for a tensor.</summary>
    /// <param name="name">Its name in the expected file.</param>
    /// <param name="expected">Its values.</param>
    /// <param name="largestGradient">Largest magnitude of all gradients: what is zero in exact arithmetic is compared with it.</param>
    public CompareRule Of(string name, double[] expected, double largestGradient)
    {
        bool gradient = name.StartsWith("gradients.", StringComparison.Ordinal);
        double largest = expected.Length == 0 ? 0 : expected.Max(Math.Abs);
        if (gradient && largest <= 1e-6 * largestGradient)
        {
            return Rule(GradientFactor * (ZeroError(name) ?? (_worstState * largestGradient)), RelativeTo.Absolute);
        }

        double error = gradient ? Group("gradients") ?? 2 * _worstState : Group(GroupOf(name)) ?? _worstState;
        return Rule((gradient ? GradientFactor : StateFactor) * error, RelativeTo.Max);
    }

    private static CompareRule Rule(double absolute, RelativeTo relativeTo) => new()
    {
        Kind = CompareKind.Tolerance,
        RelativeTolerance = 0,
        AbsoluteTolerance = absolute,
        RelativeTo = relativeTo,
    };

    // "hidden_states.3" is of the group hidden_states.
    private static string GroupOf(string name) => name.Split('.')[0];

    private static double Number(JsonElement error) =>
        error.ValueKind == JsonValueKind.Number ? error.GetDouble() : error.GetProperty("max_over_max").GetDouble();

    private double? Group(string name) =>
        _errors.ValueKind == JsonValueKind.Object && _errors.TryGetProperty(name, out JsonElement group) ? Number(group) : null;

    /// <summary>PyTorch's absolute error of a gradient that is zero in exact arithmetic, where the case states it.</summary>
    private double? ZeroError(string name)
    {
        foreach (JsonProperty rule in _compare?.EnumerateObject() ?? default)
        {
            if (NamePattern.Fits(rule.Name, name) && rule.Value.TryGetProperty("pytorch_absolute_error", out JsonElement errors))
            {
                return errors.GetProperty(_type).GetDouble() is var error and > 0 ? error : null;
            }
        }

        return null;
    }
}
