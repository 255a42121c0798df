using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Models.T5;

namespace Dvp.Prompting;

/// <summary>
/// T5 with Dynamic Visual Prompting: the encoder reads the text, the decoder its start token alone. At decoder layer K the mean of the
/// encoder's output asks the picture; prompt and start token, each with its type embedding, run through the decoder layers from K on and
/// see one another; the start token's final state is classified.
/// </summary>
public sealed class DvpT5 : DvpLanguageModel
{
    private readonly T5Model _t5;
    private readonly T5EncoderAdapters[]? _encoderAdapters;
    private readonly T5DecoderAdapters[]? _decoderAdapters;
    private readonly ClassifierHead _head;

    /// <summary>Makes the parameters of a DVP model.</summary>
    /// <param name="config">The DVP part.</param>
    /// <param name="t5">Sizes of the language model.</param>
    /// <param name="parameters">Names at the root.</param>
    /// <param name="initial">Values of what the checkpoint lacks.</param>
    public DvpT5(DvpConfig config, T5Config t5, ParameterBuilder parameters, InitialValues initial)
        : base(config)
    {
        config.RequireLayers(t5.DecoderLayers);
        _t5 = new T5Model(t5, parameters);
        int c = t5.HiddenSize;
        Prompts = new PromptSet(config, c, parameters, initial);
        if (config.Adapters is { } sizes)
        {
            AdapterParameters[] Adapters(string scope, int count) =>
                AdapterStack.Make(sizes, scope, count, c, parameters, (name, _, _) => initial.Normal(name, 0.01));
            AdapterParameters[] encoder = Adapters("encoder_adapters", 2 * t5.EncoderLayers);
            AdapterParameters[] decoder = Adapters("decoder_adapters", 3 * t5.DecoderLayers);
            _encoderAdapters =
                [.. Enumerable.Range(0, t5.EncoderLayers).Select(i => new T5EncoderAdapters(encoder[2 * i], encoder[(2 * i) + 1]))];
            _decoderAdapters = [.. Enumerable.Range(0, t5.DecoderLayers).Select(
                i => new T5DecoderAdapters(decoder[3 * i], decoder[(3 * i) + 1], decoder[(3 * i) + 2]))];
        }

        _head = new ClassifierHead(config.Head, c, parameters, initial);
    }

    /// <summary>Sizes of the language model.</summary>
    public T5Config T5 => _t5.Config;

    /// <summary>Relative positions know no longest text.</summary>
    public override int MaximumPositions => int.MaxValue;

    /// <summary>The query is a mean over all positions, padding included: the same text must always be padded to the same length.</summary>
    public override int MinimumLength => Config.TextLength;

    /// <inheritdoc/>
    protected override PromptSet Prompts { get; }

    /// <summary>None: the prompt stands in the decoder, the mask is the encoder's.</summary>
    public override int MaskedPromptTokens(int visualTokens) => 0;

    /// <inheritdoc/>
    public override TextState Prefix(Graph graph, StepInputs inputs, int depth, IDictionary<string, Variable>? states = null)
    {
        (int texts, int length) = (inputs.Ids.Extent(0), inputs.Ids.Extent(1));
        Variable bias = _t5.EncoderBias(graph, length);
        Variable h = _t5.Embed(graph, graph.Constant(inputs.Ids));
        states?.Add("encoder_hidden_states.0", h);
        for (int i = 0; i < _t5.Encoder.Count; i++)
        {
            h = EncoderLayer(graph, h, inputs.TextMask, bias, i);
            states?.Add($"encoder_hidden_states.{i + 1}", h);
        }

        graph.EndLayers();
        Variable encoder = _t5.FinishEncoder(graph, h);
        states?.Add("encoder_output", encoder);

        int[] start = new int[texts];
        Array.Fill(start, T5.StartId);
        TextState state = new(
            _t5.Embed(graph, graph.Integers(start, texts, 1)), encoder, Bias: _t5.DecoderBias(graph, tokens: 1));
        states?.Add("decoder_hidden_states.0", state.Hidden);
        for (int i = 0; i < depth; i++)
        {
            state = NextLayer(graph, state, inputs, i);
            states?.Add($"decoder_hidden_states.{i + 1}", state.Hidden);
        }

        return state;
    }

    /// <inheritdoc/>
    public override TextState NextLayer(Graph graph, TextState state, StepInputs inputs, int layer) =>
        state with { Hidden = Layer(graph, state.Hidden, state.Encoder!, inputs.TextMask, state.Bias!, layer) };

    /// <inheritdoc/>
    public override DvpOutputs Suffix(
        Graph graph, TextState state, StepInputs inputs, int layer, IDictionary<string, Variable>? states = null)
    {
        (Variable h, Variable encoder) = (state.Hidden, state.Encoder!);
        Tensor mask = inputs.TextMask;
        Tensor? attention = null;
        graph.EndLayers(); // the attention is shown after the run, and every layer reads the bias
        if (inputs.Visual is { } visual)
        {
            mask = inputs.FullMask!;
            h = Prompts[layer].Insert(
                graph, graph.MeanTokens(encoder), h, graph.Constant(visual), out attention, out Variable prompt);
            states?.Add("prompt", prompt);
            states?.Add("inserted", h);
        }

        Variable bias = _t5.DecoderBias(graph, h.Value.Extent(1));
        int last = _t5.Decoder.Count - 1;
        for (int i = layer; i < last; i++)
        {
            h = Layer(graph, h, encoder, mask, bias, i);
            states?.Add($"decoder_hidden_states.{i + 1}", h);
        }

        Variable output;
        if (states is null)
        {
            output = _t5.FinishDecoder(graph, graph.Layer(
                last, () => _t5.Decoder[last].ForwardLast(graph, h, encoder, mask, BiasOf(bias, last), _decoderAdapters?[last])));
        }
        else
        {
            h = Layer(graph, h, encoder, mask, bias, last);
            states.Add($"decoder_hidden_states.{last + 1}", h);
            h = _t5.FinishDecoder(graph, h);
            states.Add("decoder_output", h);
            output = graph.Token(h, h.Value.Extent(1) - 1);
            states.Add("output_state", output);
        }

        graph.EndLayers();
        Variable logits = _head.Forward(graph, output);
        states?.Add("logits", logits);
        return new DvpOutputs(logits, attention);
    }

    /// <summary>Layer 0's relative positions serve every layer; the published code added them in layer 0 alone.</summary>
    private Variable? BiasOf(Variable bias, int layer) => layer == 0 || Config.PositionBias == T5PositionBias.Shared ? bias : null;

    private Variable EncoderLayer(Graph graph, Variable h, Tensor mask, Variable bias, int layer) =>
        graph.Layer(layer, () => _t5.Encoder[layer].Forward(graph, h, mask, BiasOf(bias, layer), _encoderAdapters?[layer]));

    private Variable Layer(Graph graph, Variable h, Variable encoder, Tensor mask, Variable bias, int layer) => graph.Layer(
        layer,
        () => _t5.Decoder[layer].Forward(graph, h, encoder, mask, BiasOf(bias, layer), causal: false, _decoderAdapters?[layer]));
}
