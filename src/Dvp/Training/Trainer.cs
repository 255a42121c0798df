using System.Diagnostics;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Prompting;
using Dvp.Search;

namespace Dvp.Training;

/// <summary>
/// Trains a DVP model: seeded order, warm-up and decay, evaluation, checkpoints and exact resume. With a layer search it trains the
/// candidates of every layer and lets the search choose (KAB-APP: paper section 3.3).
/// </summary>
public sealed class Trainer : IDisposable
{
    private const int ReportEvery = 10;
    private readonly DvpLanguageModel _model;
    private readonly Backend _backend;
    private readonly TrainingSet? _validation;
    private readonly TrainerSettings _settings;
    private readonly StepRunner _runner;
    private readonly Predictor _predictor;

    /// <summary>Prepares a run.</summary>
    /// <param name="model">The model.</param>
    /// <param name="parameters">Its parameters.</param>
    /// <param name="train">The examples to train on.</param>
    /// <param name="validation">The examples to evaluate on, or to score the arms of a search with; never the test split.</param>
    /// <param name="settings">Hyper-parameters.</param>
    /// <param name="groups">Which parameters train and how.</param>
    public Trainer(
        DvpLanguageModel model, ParameterSet parameters, TrainingSet train, TrainingSet? validation, TrainerSettings settings,
        ParameterGroups groups)
    {
        _model = model;
        _backend = parameters.Backend;
        _validation = validation;
        _settings = settings;
        _runner = new StepRunner(model, parameters, train, settings, groups);
        _predictor = new Predictor(model, _runner.Graphs);
        State = new RunState { Settings = RunIdentity.Of(settings, model.Config, groups, train, validation, _backend) };
    }

    /// <summary>Where the run stands.</summary>
    public RunState State { get; private set; }

    /// <summary>The recorded steps, for answering with the trained model.</summary>
    public StepGraphs Graphs => _runner.Graphs;

    /// <summary>Answers in evaluation mode.</summary>
    public Predictor Predictor => _predictor;

    /// <summary>Bytes of the optimiser's moments.</summary>
    public long OptimizerBytes => _runner.Optimizer.StateBytes;

    /// <summary>Called with every report.</summary>
    public Action<TrainingProgress>? OnProgress { get; set; }

    /// <summary>Called when an evaluation was the best so far, before the checkpoint that records it.</summary>
    public Action? OnBest { get; set; }

    /// <summary>Goes on from a checkpoint if there is one.</summary>
    /// <param name="folder">The checkpoint folder.</param>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="DvpException">The checkpoint is damaged, or of a run with other settings, model or examples.</exception>
    public bool TryResume(string folder)
    {
        RunState? state = Checkpoint.Load(folder, _runner.Optimizer, _backend, State.Settings);
        State = state ?? State;
        _runner.RestoreLossScale(State.LossScale);
        return state is not null;
    }

    /// <summary>Trains at one insertion layer to the last step.</summary>
    /// <param name="layer">K; ignored by a model without a prompt.</param>
    /// <param name="checkpointFolder">Where checkpoints go; null for none.</param>
    /// <param name="stop">Ends the run after the step in progress, saves, and throws.</param>
    /// <exception cref="DvpException">Interrupted; or a checkpoint could not be written; or the loss is no number.</exception>
    public void Train(int layer, string? checkpointFolder = null, CancellationToken stop = default) =>
        Loop(checkpointFolder, step => _runner.Step(step, layer), step =>
        {
            if (_settings.EvaluateEvery == 0 || _validation is null || (step % _settings.EvaluateEvery != 0 && step != _settings.Steps))
            {
                return null;
            }

            double accuracy = _predictor.Accuracy(_validation, layer);
            State.Accuracies.Add(new StepValue(step, accuracy));
            if (accuracy > State.BestAccuracy)
            {
                (State.BestAccuracy, State.BestStep, State.SinceBest) = (accuracy, step, 0);
                OnBest?.Invoke();
            }
            else
            {
                State.SinceBest++;
            }

            return accuracy;
        }, stop);

    /// <summary>
    /// Trains all candidates, one drawn uniformly a step, and lets the search score and choose layers on the validation examples.
    /// </summary>
    /// <param name="search">The strategy.</param>
    /// <param name="validationBatch">Examples that score the arms of a step: half a training batch in the paper.</param>
    /// <param name="checkpointFolder">Where checkpoints go; null for none.</param>
    /// <param name="stop">Ends the run after the step in progress, saves, and throws.</param>
    /// <returns>K</returns>
    public int Search(ILayerSearch search, int validationBatch, string? checkpointFolder = null, CancellationToken stop = default)
    {
        TrainingSet validation = _validation
            ?? throw new ArgumentException("A search needs examples to score layers with.", nameof(search));
        BatchPlan plan = new(validation, validationBatch, _settings.Seed ^ 0x7A11DA7E);
        int[] candidates = [.. _model.Candidates];
        if (State.Search is { } saved)
        {
            search.Restore(saved);
        }

        Loop(checkpointFolder, step => _runner.Step(step, candidates[LayerOf(step, candidates.Length)]), step =>
        {
            int[] arms = search.Draw();
            double[] scores = new double[arms.Length];
            int[] layers = [.. arms.Select(a => candidates[a])];
            _predictor.ScoreLayers(validation, plan.Examples(step - 1), layers, scores);
            search.Update(arms, scores);
            State.Search = search.Save();
            State.Preferences.Add(search.Preferences);
            State.Arms.Add(layers);
            State.Scores.Add(scores);
            return null;
        }, stop);
        return candidates[search.Best];
    }

    /// <inheritdoc/>
    public void Dispose() => _runner.Dispose();

    private bool IsOutOfPatience => _settings.Patience > 0 && State.SinceBest >= _settings.Patience;

    private void Loop(string? folder, Func<int, double> train, Func<int, double?> after, CancellationToken stop)
    {
        Stopwatch clock = Stopwatch.StartNew();
        double secondsBefore = State.Seconds;
        double lastReport = 0;
        double lossSum = 0;
        int lossCount = 0;
        while (State.Step < _settings.Steps && !IsOutOfPatience)
        {
            double loss = train(State.Step);
            if (!double.IsFinite(loss))
            {
                throw new DvpException(
                    $"The loss of step {State.Step + 1} is no number; " +
                    $"lower the learning rate ({_settings.LearningRate}) or clip gradients.");
            }

            if (!double.IsFinite(_runner.GradientNorm) && !_runner.Skipped)
            {
                throw new DvpException(
                    $"The gradients of step {State.Step + 1} are too large for numbers, and it updated nothing; " +
                    $"lower the learning rate ({_settings.LearningRate}){(_runner.LossScale is null ? "" : ", or train in bf16")}.");
            }

            State.Step++;
            State.LossScale = _runner.LossScale;
            State.Losses.Add(new StepValue(State.Step, loss));
            (lossSum, lossCount) = (lossSum + loss, lossCount + 1);
            double? accuracy = after(State.Step);
            State.Seconds = secondsBefore + clock.Elapsed.TotalSeconds;
            bool last = State.Step == _settings.Steps || IsOutOfPatience;
            if (last || accuracy is not null || State.Step % ReportEvery == 0)
            {
                double now = clock.Elapsed.TotalSeconds;
                double pace = lossCount * _runner.ExamplesPerStep / Math.Max(1e-9, now - lastReport);
                TimeSpan remaining = TimeSpan.FromSeconds((_settings.Steps - State.Step) * _runner.ExamplesPerStep / Math.Max(1e-9, pace));
                OnProgress?.Invoke(new TrainingProgress(
                    State.Step, _settings.Steps, lossSum / lossCount, _runner.Rate(State.Step - 1), accuracy, pace, remaining,
                    State.LossScale));
                (lastReport, lossSum, lossCount) = (now, 0, 0);
            }

            bool due = _settings.CheckpointEvery > 0 && State.Step % _settings.CheckpointEvery == 0;
            if (folder is not null && (last || due || stop.IsCancellationRequested))
            {
                Checkpoint.Save(folder, _runner.Optimizer, _backend, State);
            }

            if (last)
            {
                break;
            }

            if (stop.IsCancellationRequested)
            {
                throw new DvpException(
                    folder is null
                        ? $"Stopped after step {State.Step} of {_settings.Steps}; nothing was saved because no run folder was given."
                        : $"Stopped after step {State.Step} of {_settings.Steps} and saved.",
                    exitCode: DvpExitCode.Interrupted);
            }
        }
    }

    /// <summary>The candidate that a step trains: uniform, and a function of seed and step alone.</summary>
    private int LayerOf(int step, int count) => new SeededRandom(_settings.Seed ^ 0x1A7E5, (uint)step).NextInt(count);
}
