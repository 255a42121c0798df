using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Models.Bert;

namespace Dvp.Prompting;

/// <summary>
/// BERT with Dynamic Visual Prompting: the [CLS] state at depth K asks the picture; prompt and text, each with its type embedding, run
/// through the layers from K on; the text's [CLS] state is classified.
/// </summary>
public sealed class DvpBert : DvpLanguageModel
{
    private readonly BertModel _bert;
    private readonly BertLayerAdapters[]? _adapters;
    private readonly ClassifierHead _head;

    /// <summary>Makes the parameters of a DVP model.</summary>
    /// <param name="config">The DVP part.</param>
    /// <param name="bert">Sizes of the language model.</param>
    /// <param name="parameters">Names at the root.</param>
    /// <param name="initial">Values of what the checkpoint lacks.</param>
    public DvpBert(DvpConfig config, BertConfig bert, ParameterBuilder parameters, InitialValues initial)
        : base(config)
    {
        config.RequireLayers(bert.Layers);
        _bert = new BertModel(bert, parameters);
        int c = bert.HiddenSize;
        Prompts = new PromptSet(config, c, parameters, initial);
        if (config.Adapters is { } sizes)
        {
            AdapterParameters[] all = AdapterStack.Make(
                sizes, "adapters", 2 * bert.Layers, c, parameters, (name, _, _) => initial.Normal(name, 0.01));
            _adapters = [.. Enumerable.Range(0, bert.Layers).Select(i => new BertLayerAdapters(all[2 * i], all[(2 * i) + 1]))];
        }

        _head = new ClassifierHead(config.Head, c, parameters, initial);
    }

    /// <summary>Sizes of the language model.</summary>
    public BertConfig Bert => _bert.Config;

    /// <inheritdoc/>
    public override int MaximumPositions => Bert.MaximumPositions;

    /// <inheritdoc/>
    protected override PromptSet Prompts { get; }

    /// <inheritdoc/>
    public override TextState Prefix(Graph graph, StepInputs inputs, int depth, IDictionary<string, Variable>? states = null)
    {
        Variable h = _bert.Embed(graph, graph.Constant(inputs.Ids));
        states?.Add("hidden_states.0", h);
        for (int i = 0; i < depth; i++)
        {
            h = Layer(graph, h, inputs.TextMask, i);
            states?.Add($"hidden_states.{i + 1}", h);
        }

        return new TextState(h);
    }

    /// <inheritdoc/>
    public override TextState NextLayer(Graph graph, TextState state, StepInputs inputs, int layer) =>
        state with { Hidden = Layer(graph, state.Hidden, inputs.TextMask, layer) };

    /// <inheritdoc/>
    public override DvpOutputs Suffix(
        Graph graph, TextState state, StepInputs inputs, int layer, IDictionary<string, Variable>? states = null)
    {
        Variable h = state.Hidden;
        Tensor mask = inputs.TextMask;
        Tensor? attention = null;
        int read = 0;
        if (inputs.Visual is { } visual)
        {
            PromptModule module = Prompts[layer];
            mask = inputs.FullMask!;
            graph.EndLayers(); // the attention is shown after the run
            h = module.Insert(graph, graph.Token(h, 0), h, graph.Constant(visual), out attention, out Variable prompt);
            read = module.TokensFor(visual.Extent(1));
            states?.Add("prompt", prompt);
            states?.Add("inserted", h);
        }

        int last = _bert.Layers.Count - 1;
        for (int i = layer; i < last; i++)
        {
            h = Layer(graph, h, mask, i);
            states?.Add($"hidden_states.{i + 1}", h);
        }

        Variable output;
        if (states is null)
        {
            output = graph.Layer(last, () => _bert.Layers[last].ForwardOneToken(graph, h, mask, _adapters?[last], read));
        }
        else
        {
            h = Layer(graph, h, mask, last);
            states.Add($"hidden_states.{last + 1}", h);
            output = graph.Token(h, read);
            states.Add("output_state", output);
        }

        graph.EndLayers();
        Variable logits = _head.Forward(graph, output);
        states?.Add("logits", logits);
        return new DvpOutputs(logits, attention);
    }

    private Variable Layer(Graph graph, Variable h, Tensor mask, int layer) =>
        graph.Layer(layer, () => _bert.Layers[layer].Forward(graph, h, mask, _adapters?[layer]));
}
