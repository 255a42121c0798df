using Dvp.Engine;

namespace Dvp.Search;

/// <summary>What a search is made from.</summary>
/// <param name="Layers">L, the layers of the language model that the prompt can enter before.</param>
/// <param name="Samples">S, layers scored in a step.</param>
/// <param name="Steps">Steps that the search will take.</param>
/// <param name="Seed">The run's seed.</param>
public sealed record SearchSettings(int Layers, int Samples, int Steps, ulong Seed = 0)
{
    /// <summary>Constants of KAB-APP; its <see cref="KabAppRule.Samples"/> gives way to <see cref="Samples"/>.</summary>
    public KabAppRule KabApp { get; init; } = KabAppRule.Default;

    /// <summary>Factor on older scores a step for <see cref="Ucb"/> and <see cref="Thompson"/>, in (0, 1].</summary>
    public double Discount { get; init; } = 1;

    /// <summary>Exploration factor of <see cref="Ucb"/>.</summary>
    public double Exploration { get; init; } = 1;
}

/// <summary>The strategies by name, as the command line takes them.</summary>
public static class LayerSearches
{
    /// <summary>All names, the published search first.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [KabApp.StrategyName, Exhaustive.StrategyName, SuccessiveHalving.StrategyName, Ucb.StrategyName, Thompson.StrategyName];

    /// <summary>Makes a search.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="settings">Sizes, seed, options.</param>
    /// <exception cref="DvpException">The name is unknown.</exception>
    public static ILayerSearch Create(string name, SearchSettings settings) => name switch
    {
        KabApp.StrategyName => new KabApp(settings.Layers, settings.KabApp with { Samples = settings.Samples }, settings.Seed),
        Exhaustive.StrategyName => new Exhaustive(settings.Layers, settings.Samples),
        SuccessiveHalving.StrategyName => new SuccessiveHalving(settings.Layers, settings.Samples, settings.Steps),
        Ucb.StrategyName => new Ucb(settings.Layers, settings.Samples, settings.Seed, settings.Exploration, settings.Discount),
        Thompson.StrategyName => new Thompson(settings.Layers, settings.Samples, settings.Seed, settings.Discount),
        _ => throw new DvpException($"There is no search strategy '{name}': use one of {string.Join(", ", Names)}."),
    };
}
