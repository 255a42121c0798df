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
    private readonly DvpBert _model;
    private readonly int _labels;
    private readonly int _visualTokens;
    private readonly int _visualChannels;
    private readonly Arena _trainingArena;
    private readonly Arena _inferenceArena;
    private readonly Arena _prefixArena;
    private readonly Arena[] _layerArenas;
    private readonly Arena _state;
    private readonly Dictionary<(int Batch, int Length, int Layer), TrainingStep> _training = [];
    private readonly Dictionary<(int Batch, int Length, int Layer), InferenceStep> _inference = [];
    private readonly Dictionary<(int Batch, int Length), PrefixStep> _prefixes = [];
    private readonly Dictionary<(int Batch, int Length, int Layer), InferenceStep> _suffixes = [];

    /// <summary>Prepares to record.</summary>
    /// <param name="model">The model.</param>
    /// <param name="backend">The device.</param>
    /// <param name="visualTokens">N</param>
    public StepGraphs(DvpBert model, Backend backend, int visualTokens)
    {
        _model = model;
        Backend = backend;
        _labels = model.Config.Head.Labels;
        _visualTokens = visualTokens;
        _visualChannels = model.Config.Prompt.VisualSize;
        _trainingArena = new Arena(backend);
        _inferenceArena = new Arena(backend, 4L << 20);
        _prefixArena = new Arena(backend, 4L << 20);
        _layerArenas = [new Arena(backend, 4L << 20), new Arena(backend, 4L << 20)];
        _state = new Arena(backend, 4096);
        DropoutState = _state.Allocate(ElementType.I32, 4);
    }

    /// <summary>The device.</summary>
    public Backend Backend { get; }

    /// <summary>Seed and step of the dropout streams, read by every training step.</summary>
    public Tensor DropoutState { get; }

    /// <summary>Bytes of activations and gradients.</summary>
    public long ActivationBytes =>
        _trainingArena.CapacityBytes + _inferenceArena.CapacityBytes + _prefixArena.CapacityBytes + _layerArenas.Sum(a => a.CapacityBytes);

    /// <summary>Tokens that a prompt puts before the text.</summary>
    public int PromptTokens => _model.PromptTokens(_visualTokens);

    /// <summary>The training step of a shape with the prompt before a layer.</summary>
    /// <param name="batch">B</param>
    /// <param name="length">T</param>
    /// <param name="layer">K; ignored by a model without a prompt</param>
    /// <param name="dropout">Whether anything is dropped.</param>
    /// <param name="scale">Factor on loss and gradient.</param>
    public TrainingStep Training(int batch, int length, int layer, bool dropout, float scale)
    {
        if (!_training.TryGetValue((batch, length, layer), out TrainingStep? step))
        {
            Graph graph = new(Backend, _trainingArena, training: true, dropout ? DropoutState : null);
            StepInputs inputs = Inputs(graph, batch, length, targets: true);
            Variable h = _model.Prefix(graph, graph.Constant(inputs.Ids), inputs.TextMask, layer);
            DvpOutputs outputs = _model.Suffix(
                graph, h, inputs.Visual is null ? null : graph.Constant(inputs.Visual), inputs.FullMask ?? inputs.TextMask, layer);
            Tensor loss = _model.Loss(graph, outputs.Logits, graph.Constant(inputs.Targets!), scale);
            graph.Backward();
            step = new TrainingStep(graph, inputs, loss);
            _training.Add((batch, length, layer), step);
        }

        return step;
    }

    /// <summary>The whole forward pass of a shape.</summary>
    public InferenceStep Inference(int batch, int length, int layer)
    {
        if (!_inference.TryGetValue((batch, length, layer), out InferenceStep? step))
        {
            Graph graph = new(Backend, _inferenceArena, training: false, layerArenas: _layerArenas);
            StepInputs inputs = Inputs(graph, batch, length, targets: false);
            Variable h = _model.Prefix(graph, graph.Constant(inputs.Ids), inputs.TextMask, layer);
            DvpOutputs outputs = _model.Suffix(
                graph, h, inputs.Visual is null ? null : graph.Constant(inputs.Visual), inputs.FullMask ?? inputs.TextMask, layer);
            step = new InferenceStep(graph, inputs, outputs);
            _inference.Add((batch, length, layer), step);
        }

        return step;
    }

    /// <summary>The text's states at every depth, which the arms of a search share.</summary>
    public PrefixStep Prefix(int batch, int length)
    {
        if (!_prefixes.TryGetValue((batch, length), out PrefixStep? step))
        {
            Graph graph = new(Backend, _prefixArena, training: false);
            StepInputs inputs = Inputs(graph, batch, length, targets: false);
            int deepest = _model.Candidates.Max();
            Variable[] states = new Variable[deepest + 1];
            states[0] = _model.Prefix(graph, graph.Constant(inputs.Ids), inputs.TextMask, 0);
            for (int i = 0; i < deepest; i++)
            {
                states[i + 1] = _model.NextLayer(graph, states[i], inputs.TextMask, i);
            }

            step = new PrefixStep(graph, inputs, states);
            _prefixes.Add((batch, length), step);
        }

        return step;
    }

    /// <summary>What follows the shared prefix for one arm.</summary>
    public InferenceStep Suffix(PrefixStep prefix, int layer)
    {
        (int batch, int length) = (prefix.Inputs.Ids.Extent(0), prefix.Inputs.Ids.Extent(1));
        if (!_suffixes.TryGetValue((batch, length, layer), out InferenceStep? step))
        {
            Graph graph = new(Backend, _inferenceArena, training: false);
            DvpOutputs outputs = _model.Suffix(
                graph, graph.Constant(prefix.States[layer].Value), graph.Constant(prefix.Inputs.Visual!), prefix.Inputs.FullMask!, layer);
            step = new InferenceStep(graph, prefix.Inputs, outputs);
            _suffixes.Add((batch, length, layer), step);
        }

        return step;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Arena arena in (Arena[])[_trainingArena, _inferenceArena, _prefixArena, .. _layerArenas, _state])
        {
            arena.Dispose();
        }
    }

    private StepInputs Inputs(Graph graph, int batch, int length, bool targets)
    {
        bool visual = _model.Config.Kind != PromptKind.None;
        return new StepInputs(
            graph.Input(ElementType.I32, batch, length).Value,
            graph.Input(ElementType.I32, batch, length).Value,
            visual ? graph.Input(ElementType.I32, batch, PromptTokens + length).Value : null,
            visual ? graph.Input(Backend.ActivationType, batch, _visualTokens, _visualChannels).Value : null,
            !targets ? null : _model.Config.Loss == DvpLoss.CrossEntropy
                ? graph.Input(ElementType.I32, batch).Value
                : graph.Input(Backend.ActivationType, batch, _labels).Value);
    }
}

/// <summary>A recorded training step.</summary>
/// <param name="Graph">Forward and backward.</param>
/// <param name="Inputs">To be filled before each run.</param>
/// <param name="Loss">(1) after the run.</param>
public sealed record TrainingStep(Graph Graph, StepInputs Inputs, Tensor Loss);

/// <summary>A recorded forward pass.</summary>
/// <param name="Graph">Forward.</param>
/// <param name="Inputs">To be filled before each run.</param>
/// <param name="Outputs">Logits and attention after the run.</param>
public sealed record InferenceStep(Graph Graph, StepInputs Inputs, DvpOutputs Outputs);

/// <summary>A recorded text prefix.</summary>
/// <param name="Graph">Forward.</param>
/// <param name="Inputs">To be filled before each run; the arms read masks and visual tokens from here.</param>
/// <param name="States">(B, T, C) at depth 0, 1, ... after the run.</param>
public sealed record PrefixStep(Graph Graph, StepInputs Inputs, IReadOnlyList<Variable> States);
