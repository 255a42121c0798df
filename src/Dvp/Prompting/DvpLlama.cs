using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Models.Llama;

namespace Dvp.Prompting;

/// <summary>
/// LLaMA with Dynamic Visual Prompting: the state of the end token at depth K asks the picture; the prompt stands before the text from K on,
/// positions starting again at 0 over the longer sequence; the end token's final state is classified. There are no type embeddings.
/// </summary>
public sealed class DvpLlama : DvpLanguageModel
{
    private readonly LlamaModel _llama;
    private readonly LlamaLayerAdapters[]? _adapters;
    private readonly ClassifierHead _head;

    /// <summary>Makes the parameters of a DVP model.</summary>
    /// <param name="config">The DVP part.</param>
    /// <param name="llama">Sizes of the language model.</param>
    /// <param name="parameters">Names at the root.</param>
    /// <param name="initial">Values of what the checkpoint lacks.</param>
    public DvpLlama(DvpConfig config, LlamaConfig llama, ParameterBuilder parameters, InitialValues initial)
        : base(config)
    {
        config.RequireLayers(llama.Layers);
        _llama = new LlamaModel(llama, parameters);
        int c = llama.HiddenSize;
        Prompts = new PromptSet(config, c, parameters, initial, types: false);
        if (config.Adapters is { } sizes)
        {
            AdapterParameters[] all = AdapterStack.Make(sizes, "adapters", 2 * llama.Layers, c, parameters, initial.Xavier);
            _adapters = [.. Enumerable.Range(0, llama.Layers).Select(i => new LlamaLayerAdapters(all[2 * i], all[(2 * i) + 1]))];
        }

        _head = new ClassifierHead(config.Head, c, parameters, initial, uniform: config.Loss == DvpLoss.CrossEntropy);
    }

    /// <summary>Sizes of the language model.</summary>
    public LlamaConfig Llama => _llama.Config;

    /// <inheritdoc/>
    public override int MaximumPositions => Llama.MaximumPositions;

    /// <inheritdoc/>
    public override int EndToken => Llama.EndId;

    /// <inheritdoc/>
    protected override PromptSet Prompts { get; }

    /// <inheritdoc/>
    public override TextState Prefix(Graph graph, StepInputs inputs, int depth, IDictionary<string, Variable>? states = null)
    {
        TextState state = new(
            _llama.Embed(graph, graph.Constant(inputs.Ids)),
            Rotation: _llama.Positions(graph, inputs.Ids.Extent(0), inputs.Ids.Extent(1)));
        states?.Add("hidden_states.0", state.Hidden);
        for (int i = 0; i < depth; i++)
        {
            state = NextLayer(graph, state, inputs, i);
            states?.Add($"hidden_states.{i + 1}", state.Hidden);
        }

        return state;
    }

    /// <inheritdoc/>
    public override TextState NextLayer(Graph graph, TextState state, StepInputs inputs, int layer) =>
        state with { Hidden = Layer(graph, state.Hidden, inputs.TextMask, state.Rotation!, layer) };

    /// <inheritdoc/>
    public override DvpOutputs Suffix(
        Graph graph, TextState state, StepInputs inputs, int layer, IDictionary<string, Variable>? states = null)
    {
        Variable h = state.Hidden;
        Tensor ends = inputs.Ends!;
        Tensor mask = inputs.TextMask;
        Tensor? attention = null;
        if (inputs.Visual is { } visual)
        {
            mask = inputs.FullMask!;
            graph.EndLayers(); // the attention is shown after the run
            Variable query = graph.Narrow(Row(graph, h, TextEnds.Row(ends, 0)));
            h = Prompts[layer].Insert(graph, query, h, graph.Constant(visual), out attention, out Variable prompt);
            states?.Add("prompt", prompt);
            states?.Add("inserted", h);
        }

        Rotation positions = _llama.Positions(graph, h.Value.Extent(0), h.Value.Extent(1));
        int last = _llama.Layers.Count - 1;
        for (int i = layer; i < last; i++)
        {
            h = Layer(graph, h, mask, positions, i);
            states?.Add($"hidden_states.{i + 1}", h);
        }

        LlamaReadRows read = new(TextEnds.Row(ends, 1), TextEnds.Row(ends, 2), TextEnds.Row(ends, 3));
        Variable output;
        if (states is null)
        {
            output = _llama.Finish(
                graph, graph.Layer(last, () => _llama.Layers[last].ForwardOneRow(graph, h, mask, positions, _adapters?[last], read)));
        }
        else
        {
            h = Layer(graph, h, mask, positions, last);
            states.Add($"hidden_states.{last + 1}", h);
            output = _llama.Finish(graph, Row(graph, h, read.Rows));
            states.Add("output_state", output);
        }

        graph.EndLayers();
        Variable logits = _head.Forward(graph, output);
        states?.Add("logits", logits);
        return new DvpOutputs(logits, attention);
    }

    /// <summary>One row (B, C) of every sequence (B, T, C).</summary>
    private static Variable Row(Graph graph, Variable h, Tensor rows) =>
        graph.Gather(graph.Reshape(h, h.Value.Rows, h.Value.Columns), graph.Constant(rows));

    private Variable Layer(Graph graph, Variable h, Tensor mask, Rotation positions, int layer) =>
        graph.Layer(layer, () => _llama.Layers[layer].Forward(graph, h, mask, positions, _adapters?[layer]));
}
