using Dvp.Engine.IO;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

/// <summary>
/// How far results may lie from the expected ones, for every device and type: |x - ref| &lt;= rtol |ref| + atol max|ref|, the maximum
/// over the
/// tensor.
/// </summary>
internal static class Tolerances
{
    /// <summary>Below this largest magnitude a tensor is zero by definition, and <see cref="ZeroBound"/> is the bound.</summary>
    private const double ZeroByDefinition = 1e-12;

    /// <summary>The golden files' bound on what is zero by definition.</summary>
    private const double ZeroBound = 1e-5;

    /// <summary>The reference against the golden files: both are in double precision.</summary>
    private static readonly (double Relative, double Absolute) s_referenceToGolden = (1e-9, 1e-9);

    /// <summary>
    /// As <see cref="s_referenceToGolden"/> where the contract takes a scalar as f32 (attention scale, epsilon, betas): 6e-8 relative, and
    /// 1e-6 in 1 - beta.
    /// </summary>
    private static readonly (double Relative, double Absolute) s_referenceToGoldenWithSingleScalars = (1e-6, 1e-6);

    private static readonly HashSet<string> s_opsWithSingleScalars = ["adamw", "attention", "layer_norm"];

    /// <summary>A device against the reference, by the device's activation type; inputs are the same bits.</summary>
    private static readonly Dictionary<ElementType, (double Relative, double Absolute)> s_deviceToReference = new()
    {
        [ElementType.F64] = (1e-12, 1e-12),
        [ElementType.F32] = (1e-5, 1e-5),
        [ElementType.BF16] = (2e-2, 2e-2),
        [ElementType.F16] = (4e-3, 4e-3),
    };

    /// <summary>
    /// The rule for a golden tensor: what the case states for f32; what double precision or a 16-bit type gives for the others.
    /// </summary>
    public static CompareRule Golden(CompareRules rules, string op, string name, double[] expected, ElementType activation)
    {
        (double, double) reference = s_opsWithSingleScalars.Contains(op) ? s_referenceToGoldenWithSingleScalars : s_referenceToGolden;
        CompareRule stated = rules.Find(name) ?? throw new InvalidOperationException($"The case states no tolerance for {name}.");
        bool exact = stated is { RelativeTolerance: 0, AbsoluteTolerance: 0 };
        CompareRule rule = exact ? stated : activation switch
        {
            ElementType.F64 => Rule(reference),
            ElementType.F32 => stated,
            _ => Rule(s_deviceToReference[activation]),
        };
        return Largest(expected) < ZeroByDefinition ? Zero(rule) : rule;
    }

    /// <summary>The rule for a result that the reference computed too.</summary>
    /// <param name="expected">The reference's values.</param>
    /// <param name="activation">The device's activation type.</param>
    /// <param name="factor">Widens the tolerance where the operator itself loses precision in this type; 1 otherwise.</param>
    public static CompareRule Reference(double[] expected, ElementType activation, double factor)
    {
        (double relative, double absolute) = s_deviceToReference[activation];
        CompareRule rule = Rule((relative * factor, absolute * factor));
        return Largest(expected) < ZeroByDefinition ? Zero(rule) : rule;
    }

    private static CompareRule Rule((double Relative, double Absolute) tolerance) => new()
    {
        Kind = CompareKind.Tolerance,
        RelativeTolerance = tolerance.Relative,
        AbsoluteTolerance = tolerance.Absolute,
        RelativeTo = RelativeTo.Max,
    };

    private static CompareRule Zero(CompareRule rule) => rule with { AbsoluteTolerance = ZeroBound, RelativeTo = RelativeTo.Absolute };

    private static double Largest(double[] values) =>
        values.Select(Math.Abs).Where(double.IsFinite).DefaultIfEmpty(0).Max();
}
