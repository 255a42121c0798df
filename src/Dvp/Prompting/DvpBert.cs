using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Models.Bert;

namespace Dvp.Prompting;

/// <summary>
/// BERT with Dynamic Visual Prompting (arXiv 2306.00409, section 3): text alone runs through the layers below K; the [CLS] state at
/// depth K asks the picture for a prompt token; prompt and text run through the layers from K on; the text's [CLS] state is classified.
/// </summary>
/// <remarks>This class records graphs; it owns no memory but its parameters.</remarks>
public sealed class DvpBert
{
    private readonly BertModel _bert;
    private readonly SortedDictionary<int, PromptModule> _prompts = [];
    private readonly PromptModule? _anyPrompt; // all are of one kind
    private readonly BertLayerAdapters[]? _adapters;
    private readonly ClassifierHead _head;

    /// <summary>Makes the parameters of a DVP model.</summary>
    /// <param name="config">The DVP part.</param>
    /// <param name="bert">Sizes of the language model.</param>
    /// <param name="parameters">Names at the root.</param>
    /// <param name="initial">Values of what the checkpoint lacks.</param>
    public DvpBert(DvpConfig config, BertConfig bert, ParameterBuilder parameters, InitialValues initial)
    {
        Config = config;
        config.RequireLayers(bert.Layers);
        _bert = new BertModel(bert, parameters);
        int c = bert.HiddenSize;
        if (config.SearchLayers is { } candidates)
        {
            foreach (int layer in candidates)
            {
                _prompts.Add(layer, new PromptModule(
                    config.Prompt, config.Kind, c, parameters["search"][$"{layer}"], initial, $"search.{layer}."));
            }
        }
        else if (config.Kind != PromptKind.None)
        {
            _prompts.Add(config.Layer!.Value, new PromptModule(config.Prompt, config.Kind, c, parameters, initial));
        }

        _anyPrompt = _prompts.Values.FirstOrDefault();
        if (config.Adapters is { } adapter)
        {
            _adapters = new BertLayerAdapters[bert.Layers];
            for (int i = 0; i < _adapters.Length; i++)
            {
                _adapters[i] = new BertLayerAdapters(Adapter(2 * i), Adapter((2 * i) + 1));
            }

            AdapterParameters Adapter(int index)
            {
                ParameterBuilder p = parameters["adapters"][$"{index}"];
                return new AdapterParameters(
                    p.Matrix("down.weight", adapter.HiddenSize, c, initial.Normal($"adapters.{index}.down", 0.01)),
                    p.Vector("down.bias", adapter.HiddenSize, InitialValues.Constant(0)),
                    p.Matrix("up.weight", c, adapter.HiddenSize, initial.Normal($"adapters.{index}.up", 0.01)),
                    p.Vector("up.bias", c, InitialValues.Constant(0)),
                    adapter.Activation);
            }
        }

        _head = new ClassifierHead(config.Head, c, parameters, initial);
    }

    /// <summary>The DVP part.</summary>
    public DvpConfig Config { get; }

    /// <summary>Sizes of the language model.</summary>
    public BertConfig Bert => _bert.Config;

    /// <summary>The layers that own a prompt.</summary>
    public IReadOnlyCollection<int> Candidates => _prompts.Keys;

    /// <summary>Tokens that the prompt of a layer puts before the text.</summary>
    public int PromptTokens(int visualTokens) => _anyPrompt?.TokensFor(visualTokens) ?? 0;

    /// <summary>Records the embeddings and the layers below <paramref name="depth"/>, which see the text alone.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="ids">I32 (B, T)</param>
    /// <param name="mask">I32 (B, T), 0 for padding</param>
    /// <param name="depth">Number of layers to run.</param>
    /// <param name="states">Receives every state (<c>hidden_states.i</c>), when all are asked for.</param>
    /// <returns>(B, T, C) the state at that depth</returns>
    public Variable Prefix(Graph graph, Variable ids, Tensor mask, int depth, IDictionary<string, Variable>? states = null)
    {
        Variable h = _bert.Embed(graph, ids);
        states?.Add("hidden_states.0", h);
        for (int i = 0; i < depth; i++)
        {
            h = NextLayer(graph, h, mask, i);
            states?.Add($"hidden_states.{i + 1}", h);
        }

        return h;
    }

    /// <summary>Records one layer for all tokens.</summary>
    public Variable NextLayer(Graph graph, Variable h, Tensor mask, int layer)
    {
        graph.BeginLayer(layer);
        return _bert.Layers[layer].Forward(graph, h, mask, _adapters?[layer]);
    }

    /// <summary>Records the insertion before layer K and everything after it.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, T, C) the text's state at depth K</param>
    /// <param name="visual">(B, N, V) visual tokens; null for text only</param>
    /// <param name="mask">I32 (B, P + T): the prompt's ones, then the text's mask</param>
    /// <param name="layer">K</param>
    /// <param name="states">Receives every named state; then all rows of the last layer are computed.</param>
    public DvpOutputs Suffix(
        Graph graph, Variable h, Variable? visual, Tensor mask, int layer, IDictionary<string, Variable>? states = null)
    {
        Tensor? attention = null;
        int read = 0;
        if (visual is not null)
        {
            PromptModule module = _prompts[layer];
            graph.EndLayers(); // the attention is shown after the run
            h = module.Insert(graph, h, visual, out attention, out Variable prompt);
            read = module.TokensFor(visual.Value.Extent(1));
            states?.Add("prompt", prompt);
            states?.Add("inserted", h);
        }

        int last = _bert.Layers.Count - 1;
        for (int i = layer; i < last; i++)
        {
            h = NextLayer(graph, h, mask, i);
            states?.Add($"hidden_states.{i + 1}", h);
        }

        Variable output;
        if (states is null)
        {
            graph.BeginLayer(last);
            output = _bert.Layers[last].ForwardOneToken(graph, h, mask, _adapters?[last], read);
        }
        else
        {
            h = NextLayer(graph, h, mask, last);
            states.Add($"hidden_states.{last + 1}", h);
            output = graph.Token(h, read);
            states.Add("output_state", output);
        }

        graph.EndLayers();
        Variable logits = _head.Forward(graph, output);
        states?.Add("logits", logits);
        return new DvpOutputs(logits, attention);
    }

    /// <summary>Records the loss of logits.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="logits">(B, answers)</param>
    /// <param name="targets">Soft targets (B, answers), or I32 labels (B), as the loss wants.</param>
    /// <param name="scale">Factor on loss and gradient.</param>
    public Tensor Loss(Graph graph, Variable logits, Variable targets, float scale = 1) => Config.Loss == DvpLoss.BinaryCrossEntropy
        ? graph.BinaryCrossEntropy(logits, targets, scale)
        : graph.CrossEntropy(logits, targets, scale: scale);
}

/// <summary>What a recorded DVP forward pass yields.</summary>
/// <param name="Logits">(B, answers)</param>
/// <param name="Attention">(B, H, P, N) probabilities of the prompt attention; null where there is none.</param>
public sealed record DvpOutputs(Variable Logits, Tensor? Attention);
