using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Prompting;

namespace Dvp.Training;

/// <summary>
/// Optimiser steps of one model on one set: uploads a batch, runs the recorded step of its shape (gradients to zero, forward, backward,
/// clipping and AdamW are one piece of work), reads the loss. A step of a shape that came up before allocates nothing.
/// </summary>
public sealed class StepRunner : IDisposable
{
    private const int Results = 2; // loss and norm
    private readonly ParameterSet _parameters;
    private readonly TrainerSettings _settings;
    private readonly LearningRateSchedule _schedule;
    private readonly BatchPlan _plan;
    private readonly BatchBuffers _buffers;
    private readonly Arena _state;
    private readonly Tensor _results;
    private readonly Tensor _stepLoss;
    private readonly Dictionary<TrainingStep, StepWork> _works = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<AdamWPlan, RecordedWork> _updates = [];
    private readonly RecordedWork _begin;
    private readonly int[] _dropoutState = new int[4];
    private readonly LossScaler? _scaler;
    private readonly float[] _host; // loss, norm; scale, good steps, skipped steps

    /// <summary>Prepares to train.</summary>
    /// <param name="model">The model.</param>
    /// <param name="parameters">Its parameters.</param>
    /// <param name="set">The examples to train on.</param>
    /// <param name="settings">Hyper-parameters.</param>
    /// <param name="groups">Which parameters are decayed, and the head's rate.</param>
    public StepRunner(DvpLanguageModel model, ParameterSet parameters, TrainingSet set, TrainerSettings settings, ParameterGroups groups)
    {
        _parameters = parameters;
        _settings = settings;
        _schedule = settings.Schedule();
        _plan = new BatchPlan(set, settings.Batch, settings.Seed);
        _buffers = new BatchBuffers(set, model);
        Backend backend = parameters.Backend;
        _state = new Arena(backend, 4096);
        LossScaleSettings? scaling = backend.ActivationType == ElementType.F16 ? settings.LossScale : null;
        _host = new float[scaling is null ? Results : Results + LossScaler.Numbers];
        _results = _state.Allocate(backend.AccumulationType, _host.Length); // read in one copy
        _stepLoss = _results.SliceColumns(0, 1);
        if (scaling is not null)
        {
            _scaler = new LossScaler(backend, scaling, _results.SliceColumns(Results, LossScaler.Numbers));
            LossScale = new LossScaleState(scaling.Initial, 0, 0);
        }

        _begin = backend.Record(Begin);
        Graphs = new StepGraphs(model, backend, set.Features.Tokens, _scaler?.Scale, settings.RecomputeLayers);
        Optimizer = new AdamWOptimizer(parameters, settings.AdamW with { MaxNorm = settings.MaxNorm }, name =>
        {
            ParameterGroup group = groups.Of(name, parameters[name].Value.Shape.Length);
            return (group.RateMultiplier, group.Decay);
        }, norm: _results.SliceColumns(1, 1), _scaler);
    }

    /// <summary>The recorded steps.</summary>
    public StepGraphs Graphs { get; }

    /// <summary>The optimiser and its state.</summary>
    public AdamWOptimizer Optimizer { get; }

    /// <summary>Examples of one optimiser step.</summary>
    public int ExamplesPerStep => _plan.Batch * _settings.Accumulation;

    /// <summary>The rate of a step, counted from 0.</summary>
    public double Rate(int step) => _schedule.At(step);

    /// <summary>The global norm of the last step's gradients before clipping; 0 where neither clipping nor a loss scale needs it.</summary>
    public double GradientNorm => _host[1];

    /// <summary>The loss scale after the last step; null where the device does not compute in f16.</summary>
    public LossScaleState? LossScale { get; private set; }

    /// <summary>
    /// Whether the last step updated nothing because its gradients were too large for f16 under the loss scale, which was lowered: the next
    /// steps may do better.
    /// </summary>
    public bool Skipped { get; private set; }

    /// <summary>Takes one optimiser step.</summary>
    /// <param name="step">Number of the step, from 0: it fixes batch, dropout and rate.</param>
    /// <param name="layer">K for this step.</param>
    /// <returns>The loss, before the update. Where it is no number, or the norm of the gradients is none, nothing was updated.</returns>
    public double Step(int step, int layer)
    {
        Backend backend = _parameters.Backend;
        Optimizer.SetRate((float)_schedule.At(step));
        AdamWPlan? plan = null;
        if (_settings.Accumulation == 1)
        {
            StepWork work = Prepare(step, layer);
            work.Recorded.Run();
            plan = work.Plan;
        }
        else
        {
            _begin.Run();
            for (int part = 0; part < _settings.Accumulation; part++)
            {
                StepWork work = Prepare(((long)step * _settings.Accumulation) + part, layer);
                work.Recorded.Run();
                plan = work.Plan;
            }

            _updates[plan!].Run();
        }

        backend.Download(_host, _results);
        double loss = _host[0];
        if (double.IsFinite(loss) && double.IsFinite(GradientNorm))
        {
            Optimizer.NoteUpdate(plan!);
        }

        if (LossScale is { } before)
        {
            LossScale = LossScaler.Read(_host.AsSpan(Results));
            Skipped = double.IsFinite(loss) && !double.IsFinite(GradientNorm) && LossScale.Value.Scale < before.Scale;
        }

        return loss;
    }

    /// <summary>Goes on from the loss scale of a checkpoint; a run without one keeps its own beginning.</summary>
    public void RestoreLossScale(LossScaleState? saved)
    {
        if (_scaler is not null && saved is { } state)
        {
            _scaler.Restore(state);
            LossScale = state;
        }
    }

    /// <summary>
    /// Copies the batch and the rate of a step to the device: what is left is the recorded work of the whole step. Running it, once or more
    /// often, updates the parameters without the host's knowledge: it is there to be timed.
    /// </summary>
    internal RecordedWork PrepareStep(int step, int layer)
    {
        if (_settings.Accumulation != 1)
        {
            throw new InvalidOperationException("A step of several passes is several pieces of work.");
        }

        Optimizer.SetRate((float)_schedule.At(step));
        return Prepare(step, layer).Recorded;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (StepWork work in _works.Values)
        {
            work.Recorded.Dispose();
        }

        foreach (RecordedWork update in _updates.Values)
        {
            update.Dispose();
        }

        _begin.Dispose();
        Graphs.Dispose();
        Optimizer.Dispose();
        _state.Dispose();
    }

    /// <summary>Copies a batch to the device and finds, or makes, the work of its shape.</summary>
    private StepWork Prepare(long index, int layer)
    {
        Backend backend = _parameters.Backend;
        ReadOnlySpan<int> examples = _plan.Examples(index);
        StepShape shape = _buffers.Shape(examples, _plan.Batch, share: !_settings.Dropout);
        TrainingStep recorded = Graphs.Training(shape, layer, _settings.Dropout, 1f / _settings.Accumulation);
        UploadDropoutState(backend, index);
        _buffers.Upload(backend, examples, recorded.Inputs, Graphs.PromptTokens);
        return _works.TryGetValue(recorded, out StepWork? work) && Optimizer.IsCurrent(work.Plan) ? work : Record(recorded, work);
    }

    private StepWork Record(TrainingStep step, StepWork? outdated)
    {
        outdated?.Recorded.Dispose();
        Backend backend = _parameters.Backend;
        AdamWPlan plan = Optimizer.Plan(step.Graph.Trained);
        StepWork work = new(backend.Record(() => Run(step, plan)), plan);
        _works[step] = work;
        if (_settings.Accumulation > 1 && !_updates.ContainsKey(plan))
        {
            _updates.Add(plan, backend.Record(() => Optimizer.Update(plan, _stepLoss)));
        }

        return work;
    }

    private void Begin()
    {
        _parameters.ZeroGradients();
        _parameters.Backend.Fill(_stepLoss, 0);
    }

    private void Run(TrainingStep step, AdamWPlan plan)
    {
        bool whole = _settings.Accumulation == 1;
        if (whole)
        {
            Begin();
        }

        step.Graph.RunForward();
        step.Graph.RunBackward();
        _parameters.Backend.Add(_stepLoss, step.Loss);
        if (whole)
        {
            Optimizer.Update(plan, _stepLoss);
        }
    }

    private void UploadDropoutState(Backend backend, long index)
    {
        _dropoutState[0] = unchecked((int)(uint)_settings.Seed);
        _dropoutState[1] = unchecked((int)(uint)(_settings.Seed >> 32));
        _dropoutState[2] = unchecked((int)(uint)index);
        _dropoutState[3] = (int)(index >> 32);
        backend.Upload(Graphs.DropoutState, _dropoutState);
    }

    /// <summary>What runs for one shape and layer, and what it updates at the end of its step.</summary>
    private sealed record StepWork(RecordedWork Recorded, AdamWPlan Plan);
}
