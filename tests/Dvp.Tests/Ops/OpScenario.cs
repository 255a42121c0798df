namespace Dvp.Tests.Ops;

/// <summary>A use of operators on random inputs that every device must answer as the reference does.</summary>
/// <param name="Name">What is run, with its sizes.</param>
/// <param name="Body">Makes the inputs, runs the operators, keeps the results; draws the same numbers on every device.</param>
/// <param name="Factor">Widens the tolerance where the operator itself loses precision in the device's type.</param>
internal sealed record OpScenario(string Name, Action<OpBench> Body, double Factor = 1);

/// <summary>All scenarios, by name.</summary>
internal static partial class OpScenarios
{
    /// <summary>Sizes around every width of registers, tiles and warps, and odd ones.</summary>
    private static readonly int[] s_raggedSizes = [1, 5, 17, 31, 32, 33, 64, 65, 257];

    public static IReadOnlyDictionary<string, OpScenario> All { get; } =
        new IEnumerable<OpScenario>[]
        {
            Elementwise(), Linears(), Adapters(), Norms(), Attentions(), PromptAttentions(), Tokens(), Positions(), Losses(), Optimizers(), Streams(),
        }.SelectMany(s => s).ToDictionary(s => s.Name, StringComparer.Ordinal);
}
