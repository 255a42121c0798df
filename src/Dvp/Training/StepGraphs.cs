using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;
using Dvp.Prompting;

namespace Dvp.Training;

/// <summary>
/// The recorded steps of a DVP model, one for each shape and layer that came up. Steps of one kind share an arena: they run one at a time.
/// </summary>
public sealed class StepGraphs : IDisposable
{
    private readonly DvpLanguageModel _model;
    private readonly int _labels;
    private readonly int _visualTokens;
    private readonly int _visualChannels;
    private readonly Arena _trainingArena;
    private readonly Arena _inferenceArena;
    private readonly Arena _prefixArena;
    private readonly Arena[] _layerArenas;
    private readonly LayerMemory? _recompute;
    private readonly Arena _state;
    private readonly Tensor? _lossScale;
    private readonly Dictionary<(StepShape Shape, int Layer, bool Dropout, float Scale), TrainingStep> _training = [];
    private readonly Dictionary<(StepShape Shape, int Layer), InferenceStep> _inference = [];
    private readonly Dictionary<StepShape, PrefixStep> _prefixes = [];
    private readonly Dictionary<(StepShape Shape, int Layer), InferenceStep> _suffixes = [];

    /// <summary>Prepares to record.</summary>
    /// <param name="model">The model.</param>
    /// <param name="backend">The device.</param>
    /// <param name="visualTokens">N</param>
    /// <param name="lossScale">(1) factor on the gradients of training steps, not on their loss; null for 1</param>
    /// <param name="recomputeLayers">Whether training keeps of every layer the result alone and computes the layer again in the backward pass.</param>
    public StepGraphs(
        DvpLanguageModel model, Backend backend, int visualTokens, Tensor? lossScale = null, bool recomputeLayers = false)
    {
        _lossScale = lossScale;
        _model = model;
        Backend = backend;
        _labels = model.Config.Head.Labels;
        _visualTokens = visualTokens;
        _visualChannels = model.Config.Prompt.VisualSize;
        _trainingArena = new Arena(backend);
        _inferenceArena = new Arena(backend, 4L << 20);
        _prefixArena = new Arena(backend, 4L << 20);
        _layerArenas = [new Arena(backend, 4L << 20), new Arena(backend, 4L << 20)];
        _recompute = recomputeLayers ? new LayerMemory(backend) : null;
        _state = new Arena(backend, 4096);
        DropoutState = _state.Allocate(ElementType.I32, 4);
    }

    /// <summary>The device.</summary>
    public Backend Backend { get; }

    /// <summary>Seed and step of the dropout streams, read by every training step.</summary>
    public Tensor DropoutState { get; }

    /// <summary>Bytes of activations and gradients.</summary>
    public long ActivationBytes => TrainingBytes
        + _inferenceArena.CapacityBytes + _prefixArena.CapacityBytes + _layerArenas.Sum(a => a.CapacityBytes);

    /// <summary>Those of training steps.</summary>
    public long TrainingBytes => _trainingArena.CapacityBytes + (_recompute?.CapacityBytes ?? 0);

    /// <summary>Tokens that a prompt puts before the text's mask.</summary>
    public int PromptTokens => _model.MaskedPromptTokens(_visualTokens);

    /// <summary>The training step of a shape with the prompt before a layer.</summary>
    /// <param name="shape">Sizes.</param>
    /// <param name="layer">K; ignored by a model without a prompt</param>
    /// <param name="dropout">Whether anything is dropped.</param>
    /// <param name="scale">Factor on loss and gradient.</param>
    public TrainingStep Training(StepShape shape, int layer, bool dropout, float scale)
    {
        if (!_training.TryGetValue((shape, layer, dropout, scale), out TrainingStep? step))
        {
            Graph graph = new(
                Backend, _trainingArena, training: true, dropout ? DropoutState : null, constants: _state, lossScale: _lossScale,
                recompute: _recompute);
            StepInputs inputs = Inputs(graph, shape, targets: true);
            DvpOutputs outputs = Forward(graph, inputs, layer);
            Tensor loss = _model.Loss(graph, outputs.Logits, graph.Constant(inputs.Targets!), scale);
            graph.Backward();
            step = new TrainingStep(graph, inputs, loss);
            _training.Add((shape, layer, dropout, scale), step);
        }

        return step;
    }

    /// <summary>The whole forward pass of a shape.</summary>
    public InferenceStep Inference(StepShape shape, int layer)
    {
        if (!_inference.TryGetValue((shape, layer), out InferenceStep? step))
        {
            Graph graph = new(Backend, _inferenceArena, training: false, layerArenas: _layerArenas, constants: _state);
            StepInputs inputs = Inputs(graph, shape, targets: false);
            DvpOutputs outputs = Forward(graph, inputs, layer);
            step = new InferenceStep(Backend.Record(graph.RunForward), inputs, outputs);
            _inference.Add((shape, layer), step);
        }

        return step;
    }

    /// <summary>The text's states at every depth, which the arms of a search share.</summary>
    public PrefixStep Prefix(StepShape shape)
    {
        if (!_prefixes.TryGetValue(shape, out PrefixStep? step))
        {
            Graph graph = new(Backend, _prefixArena, training: false, constants: _state);
            StepInputs inputs = Inputs(graph, shape, targets: false);
            int deepest = _model.Candidates.Max();
            TextState[] states = new TextState[deepest + 1];
            states[0] = _model.Prefix(graph, inputs, 0);
            for (int i = 0; i < deepest; i++)
            {
                states[i + 1] = _model.NextLayer(graph, states[i], inputs, i);
            }

            step = new PrefixStep(shape, Backend.Record(graph.RunForward), inputs, states);
            _prefixes.Add(shape, step);
        }

        return step;
    }

    /// <summary>What follows the shared prefix for one arm.</summary>
    public InferenceStep Suffix(PrefixStep prefix, int layer)
    {
        if (!_suffixes.TryGetValue((prefix.Shape, layer), out InferenceStep? step))
        {
            Graph graph = new(Backend, _inferenceArena, training: false, constants: _state);
            TextState state = prefix.States[layer].Select(x => PerExample(graph, graph.Constant(x.Value), prefix.Inputs));
            DvpOutputs outputs = _model.Suffix(graph, state, prefix.Inputs, layer);
            step = new InferenceStep(Backend.Record(graph.RunForward), prefix.Inputs, outputs);
            _suffixes.Add((prefix.Shape, layer), step);
        }

        return step;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (RecordedWork work in _inference.Values.Concat(_suffixes.Values).Select(s => s.Work).Concat(_prefixes.Values.Select(p => p.Work)))
        {
            work.Dispose();
        }

        foreach (Arena arena in (Arena[])[_trainingArena, _inferenceArena, _prefixArena, .. _layerArenas, _state])
        {
            arena.Dispose();
        }

        _recompute?.Dispose();
    }

    /// <summary>Text below K once for each different text, the rest once for each example; a model without a prompt computes texts alone.</summary>
    private DvpOutputs Forward(Graph graph, StepInputs inputs, int layer)
    {
        TextState state = _model.Prefix(graph, inputs, layer);
        if (inputs.Visual is not null)
        {
            return _model.Suffix(graph, state.Select(x => PerExample(graph, x, inputs)), inputs, layer);
        }

        DvpOutputs outputs = _model.Suffix(graph, state, inputs, layer);
        return outputs with { Logits = PerExample(graph, outputs.Logits, inputs) };
    }

    private static Variable PerExample(Graph graph, Variable perText, StepInputs inputs) =>
        inputs.Rows is null ? perText : graph.Gather(perText, graph.Constant(inputs.Rows));

    private StepInputs Inputs(Graph graph, StepShape shape, bool targets)
    {
        bool visual = _model.Config.Kind != PromptKind.None;
        Tensor Integers(params ReadOnlySpan<int> extents) => graph.Input(ElementType.I32, extents).Value;
        return new StepInputs(
            Integers(shape.Texts, shape.Length),
            Integers(shape.Texts, shape.Length),
            shape.Texts < shape.Batch ? Integers(shape.Batch) : null,
            visual ? Integers(shape.Batch, PromptTokens + shape.Length) : null,
            visual ? graph.Input(Backend.ActivationType, shape.Batch, _visualTokens, _visualChannels).Value : null,
            !targets ? null : _model.Config.Loss == DvpLoss.CrossEntropy
                ? Integers(shape.Batch)
                : graph.Input(Backend.ActivationType, shape.Batch, _labels).Value,
            _model.EndToken < 0 ? null : Integers(TextEnds.TableRows, visual ? shape.Batch : shape.Texts));
    }
}

/// <summary>A recorded training step.</summary>
/// <param name="Graph">Forward and backward.</param>
/// <param name="Inputs">To be filled before each run.</param>
/// <param name="Loss">(1) after the run.</param>
public sealed record TrainingStep(Graph Graph, StepInputs Inputs, Tensor Loss);

/// <summary>A recorded forward pass.</summary>
/// <param name="Work">Forward.</param>
/// <param name="Inputs">To be filled before each run.</param>
/// <param name="Outputs">Logits and attention after the run.</param>
public sealed record InferenceStep(RecordedWork Work, StepInputs Inputs, DvpOutputs Outputs);

/// <summary>A recorded text prefix.</summary>
/// <param name="Shape">Sizes.</param>
/// <param name="Work">Forward.</param>
/// <param name="Inputs">To be filled before each run; the arms read masks and visual tokens from here.</param>
/// <param name="States">The texts at depth 0, 1, ... after the run.</param>
public sealed record PrefixStep(StepShape Shape, RecordedWork Work, StepInputs Inputs, IReadOnlyList<TextState> States);
