using Dvp.Engine.Nn;

namespace Dvp.Prompting;

/// <summary>The prompts of a model: one at its insertion layer, one for each candidate of a search, or none for text only.</summary>
public sealed class PromptSet
{
    private readonly SortedDictionary<int, PromptModule> _prompts = [];
    private readonly PromptModule? _any; // all are of one kind

    /// <summary>Makes the parameters of the prompts.</summary>
    /// <param name="config">The DVP part.</param>
    /// <param name="channels">C of the language model.</param>
    /// <param name="parameters">Names at the root.</param>
    /// <param name="initial">Values of what the checkpoint lacks.</param>
    /// <param name="types">Whether text and prompt have type embeddings E.</param>
    public PromptSet(DvpConfig config, int channels, ParameterBuilder parameters, InitialValues initial, bool types = true)
    {
        if (config.SearchLayers is { } candidates)
        {
            foreach (int layer in candidates)
            {
                _prompts.Add(layer, new PromptModule(
                    config.Prompt, config.Kind, channels, parameters["search"][$"{layer}"], initial, $"search.{layer}.", types));
            }
        }
        else if (config.Kind != PromptKind.None)
        {
            _prompts.Add(config.Layer!.Value, new PromptModule(config.Prompt, config.Kind, channels, parameters, initial, types: types));
        }

        _any = _prompts.Values.FirstOrDefault();
    }

    /// <summary>The layers that own a prompt.</summary>
    public IReadOnlyCollection<int> Layers => _prompts.Keys;

    /// <summary>The prompt of a layer.</summary>
    public PromptModule this[int layer] => _prompts[layer];

    /// <summary>Tokens that a prompt puts before the text.</summary>
    public int TokensFor(int visualTokens) => _any?.TokensFor(visualTokens) ?? 0;
}
