using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Prompting;

namespace Dvp.Training;

/// <summary>
/// Optimiser steps of one model on one set: uploads a batch, replays the recorded step of its shape, updates. A step of a shape that came
/// up before allocates nothing.
/// </summary>
public sealed class StepRunner : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly TrainerSettings _settings;
    private readonly LearningRateSchedule _schedule;
    private readonly BatchPlan _plan;
    private readonly BatchBuffers _buffers;
    private readonly int[] _dropoutState = new int[4];
    private readonly float[] _loss = new float[1];

    /// <summary>Prepares to train.</summary>
    /// <param name="model">The model.</param>
    /// <param name="parameters">Its parameters.</param>
    /// <param name="set">The examples to train on.</param>
    /// <param name="settings">Hyper-parameters.</param>
    /// <param name="groups">Which parameters are decayed, and the head's rate.</param>
    public StepRunner(DvpBert model, ParameterSet parameters, TrainingSet set, TrainerSettings settings, ParameterGroups groups)
    {
        _parameters = parameters;
        _settings = settings;
        _schedule = settings.Schedule();
        _plan = new BatchPlan(set, settings.Batch, settings.Seed);
        _buffers = new BatchBuffers(set, model.Bert.MaximumPositions);
        Graphs = new StepGraphs(model, parameters.Backend, set.Features.Tokens);
        Optimizer = new AdamWOptimizer(parameters, settings.AdamW with { MaxNorm = settings.MaxNorm }, name =>
        {
            ParameterGroup group = groups.Of(name, parameters[name].Value.Shape.Length);
            return (group.RateMultiplier, group.Decay);
        });
    }

    /// <summary>The recorded steps.</summary>
    public StepGraphs Graphs { get; }

    /// <summary>The optimiser and its state.</summary>
    public AdamWOptimizer Optimizer { get; }

    /// <summary>Examples of one optimiser step.</summary>
    public int ExamplesPerStep => _plan.Batch * _settings.Accumulation;

    /// <summary>The rate of a step, counted from 0.</summary>
    public double Rate(int step) => _schedule.At(step);

    /// <summary>Takes one optimiser step.</summary>
    /// <param name="step">Number of the step, from 0: it fixes batch, dropout and rate.</param>
    /// <param name="layer">K for this step.</param>
    /// <returns>The loss, before the update. One that is no number updates nothing.</returns>
    public double Step(int step, int layer)
    {
        Backend backend = _parameters.Backend;
        _parameters.ZeroGradients();
        double loss = 0;
        IReadOnlySet<ParameterBlock>? trained = null;
        for (int part = 0; part < _settings.Accumulation; part++)
        {
            long index = ((long)step * _settings.Accumulation) + part;
            ReadOnlySpan<int> examples = _plan.Examples(index);
            StepShape shape = _buffers.Shape(examples, _plan.Batch, share: !_settings.Dropout);
            TrainingStep recorded = Graphs.Training(shape, layer, _settings.Dropout, 1f / _settings.Accumulation);
            UploadDropoutState(backend, index);
            _buffers.Upload(backend, examples, recorded.Inputs, Graphs.PromptTokens);
            recorded.Graph.RunForward();
            recorded.Graph.RunBackward();
            backend.Download(_loss, recorded.Loss);
            loss += _loss[0];
            trained = recorded.Graph.Trained;
        }

        if (double.IsFinite(loss))
        {
            Optimizer.Step((float)_schedule.At(step), trained);
        }

        return loss;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Graphs.Dispose();
        Optimizer.Dispose();
    }

    private void UploadDropoutState(Backend backend, long index)
    {
        _dropoutState[0] = unchecked((int)(uint)_settings.Seed);
        _dropoutState[1] = unchecked((int)(uint)(_settings.Seed >> 32));
        _dropoutState[2] = unchecked((int)(uint)index);
        _dropoutState[3] = (int)(index >> 32);
        backend.Upload(Graphs.DropoutState, _dropoutState);
    }
}
