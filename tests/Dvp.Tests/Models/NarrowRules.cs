using System.Text.Json;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Models;

/// <summary>
/// Tolerances of a whole model in 16 bits: a multiple of the errors that are known for the same type on the same case. One is PyTorch's, which
/// the case states; the other is that of the oracle with its results stored in that type, which counts what rounding alone does (a ReLU
/// that opens or closes moves whole rows of a gradient).
/// </summary>
internal sealed class NarrowRules
{
    private const double StateFactor = 3;
    private const double GradientFactor = 4;
    private const double Opened = 0.4; // of the largest: what a single ReLU that opens or closes has moved in these tiny models
    private readonly double _states;
    private readonly double _gradients;
    private readonly JsonElement _errors;
    private readonly JsonElement? _compare;
    private readonly string _type;

    /// <summary>Reads a case.</summary>
    /// <param name="caseFile">case.json</param>
    /// <param name="type">BF16 or F16.</param>
    /// <param name="states">Largest error of the oracle's states in the type, relative to the largest magnitude of each.</param>
    /// <param name="gradients">The same of its gradients.</param>
    /// <param name="relu">Whether the model has ReLUs.</param>
    public NarrowRules(string caseFile, ElementType type, double states, double gradients, bool relu)
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
        double worst = _errors.ValueKind == JsonValueKind.Object
            ? _errors.EnumerateObject().Where(e => !e.Name.StartsWith("grad", StringComparison.Ordinal) && e.Name != "zero_gradients")
                .Max(e => Number(e.Value))
            : 0; // no error of PyTorch is known for this case
        _states = Math.Max(states, worst);
        _gradients = Math.Max(Math.Max(gradients, Group("gradients") ?? 0), relu ? Opened / GradientFactor : 0);
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
            return Rule(GradientFactor * Math.Max(ZeroError(name) ?? 0, _gradients * largestGradient), RelativeTo.Absolute);
        }

        return Rule(gradient ? GradientFactor * _gradients : StateFactor * _states, RelativeTo.Max);
    }

    private static CompareRule Rule(double absolute, RelativeTo relativeTo) => new()
    {
        Kind = CompareKind.Tolerance,
        RelativeTolerance = 0,
        AbsoluteTolerance = absolute,
        RelativeTo = relativeTo,
    };

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
