using System.Diagnostics;
using System.Globalization;
using Dvp.Engine.Devices;
using Dvp.Evaluation;
using Dvp.Prompting;
using Dvp.Reporting;
using Dvp.Search;
using Dvp.Tasks.Vqa;
using Dvp.Training;

namespace Dvp.Experiments;

/// <summary>What a quickstart is asked for.</summary>
public sealed record QuickstartOptions
{
    /// <summary>Models and data.</summary>
    public required ExperimentPaths Paths { get; init; }

    /// <summary>The run folder.</summary>
    public required string Run { get; init; }

    /// <summary>The recipe.</summary>
    public Preset Preset { get; init; } = Preset.Sample;

    /// <summary>Search strategy (<see cref="LayerSearches.Names"/>).</summary>
    public string Strategy { get; init; } = KabApp.StrategyName;

    /// <summary>Trains at every layer too, so that the choice can be judged; takes as many trainings as there are layers.</summary>
    public bool Exhaustive { get; init; }

    /// <summary>Goes on with the run in <see cref="Run"/>.</summary>
    public bool Resume { get; init; }

    /// <summary>Where the features are kept; by default in the run folder.</summary>
    public string? Features { get; init; }

    /// <summary>Called when a phase begins.</summary>
    public Action<string>? OnPhase { get; init; }

    /// <summary>Called with every training report of a phase.</summary>
    public Action<TrainingProgress>? OnProgress { get; init; }
}

/// <summary>What a quickstart found.</summary>
public sealed record QuickstartResult
{
    /// <summary>K, the layer that the search chose.</summary>
    public required int Layer { get; init; }

    /// <summary>Test accuracy in percent, with its bootstrap interval.</summary>
    public required Interval Accuracy { get; init; }

    /// <summary>The same of a model trained without pictures.</summary>
    public required Interval AccuracyTextOnly { get; init; }

    /// <summary>The same of the most frequent answer.</summary>
    public required Interval AccuracyMajority { get; init; }

    /// <summary>Seconds by phase.</summary>
    public required IReadOnlyList<(string Name, double Seconds)> Seconds { get; init; }

    /// <summary>The most memory that the process held.</summary>
    public required long PeakMemoryBytes { get; init; }

    /// <summary>The report's page.</summary>
    public required string Report { get; init; }

    /// <summary>The run folder.</summary>
    public required string Run { get; init; }

    /// <summary>Everything that the report shows.</summary>
    public required RunReport Details { get; init; }
}

/// <summary>
/// The main job, end to end: features, search for K, training at K, the baselines, evaluation on the test split, and a report.
/// </summary>
public sealed class Quickstart
{
    private readonly QuickstartOptions _options;
    private readonly Backend _backend;
    private readonly PhaseClock _clock;
    private readonly RunFolder _folder;

    private Quickstart(QuickstartOptions options, Backend backend)
    {
        _options = options;
        _backend = backend;
        _clock = new PhaseClock { OnPhase = options.OnPhase };
        _folder = options.Resume ? RunFolder.Existing(options.Run) : RunFolder.New(options.Run);
    }

    /// <summary>Runs it.</summary>
    /// <param name="options">What is asked for.</param>
    /// <param name="backend">The device.</param>
    /// <param name="stop">Ends the run after the step in progress; checkpoints let it go on.</param>
    /// <exception cref="Engine.DvpException">A file is missing or damaged, the disk is full, or the run was stopped.</exception>
    public static QuickstartResult Run(QuickstartOptions options, Backend backend, CancellationToken stop = default) =>
        new Quickstart(options, backend).Run(stop);

    private QuickstartResult Run(CancellationToken stop)
    {
        Preset preset = _options.Preset;
        _folder.WriteManifest(
        [
            ("preset", preset.Name), ("strategy", _options.Strategy), ("device", _backend.Name),
            ("language_model", _options.Paths.LanguageModel), ("vision_model", _options.Paths.VisionModel), ("data", _options.Paths.Data),
            ("search", preset.Search.Identity()), ("train", preset.Train.Identity()),
            ("recompute_layers", preset.Train.RecomputeLayers ? "yes" : "no"),
        ]);
        string features = _options.Features ?? _folder.File("features");
        using VqaExperiment experiment = _clock.Measure(
            "features", () => VqaExperiment.Open(_options.Paths, _backend, preset, features));
        QuickstartReport report = new(experiment, _options, _clock);

        int layer = _clock.Measure("search", () => Search(experiment, report, stop));
        VqaTrainingData test = experiment.Split("test");
        VqaScorer scorer = new(test.Split, experiment.Vocabulary);
        double[] scores = Train(experiment, PromptKind.Dynamic, layer, "train", report, test, scorer, stop);
        double[] textOnly = Train(experiment, PromptKind.None, 0, "text-only", report, test, scorer, stop);
        if (_options.Exhaustive)
        {
            List<double[]> all = [];
            for (int other = 0; other < experiment.Language.Layers; other++)
            {
                all.Add(other == layer
                    ? scores
                    : Train(experiment, PromptKind.Dynamic, other, string.Create(CultureInfo.InvariantCulture, $"layer-{other}"), report, test, scorer, stop));
            }

            report.Exhaustive(all);
        }

        double[] majority = MajorityBaseline.Fit(experiment.Data.Split("train")).Scores(test.Split);
        report.Accuracies(test.Split, scores, textOnly, majority);
        _clock.Measure("latency and examples", () => report.Demonstrate(_folder.Dvp, layer));
        report.Memory("features", experiment.Features.Bytes);
        long peak = Process.GetCurrentProcess().PeakWorkingSet64;
        (RunReport page, string path) = report.Save(_folder.Path, layer, peak);
        return new QuickstartResult
        {
            Layer = layer,
            Accuracy = Bootstrap.Mean(scores).Times(100),
            AccuracyTextOnly = Bootstrap.Mean(textOnly).Times(100),
            AccuracyMajority = Bootstrap.Mean(majority).Times(100),
            Seconds = _clock.Phases,
            PeakMemoryBytes = peak,
            Report = path,
            Run = _folder.Path,
            Details = page,
        };
    }

    private int Search(VqaExperiment experiment, QuickstartReport report, CancellationToken stop)
    {
        Preset preset = _options.Preset;
        using TrainedRun run = experiment.Searching();
        run.Trainer.OnProgress = _options.OnProgress;
        string checkpoint = _folder.Checkpoint("search");
        run.Trainer.TryResume(checkpoint);
        ILayerSearch search = LayerSearches.Create(_options.Strategy, new SearchSettings(
            experiment.Language.Layers, preset.SearchSamples, preset.Search.Steps, preset.Search.Seed));
        int layer = run.Trainer.Search(search, preset.SearchValidationBatch, checkpoint, stop);
        report.Searched(search, run.Trainer.State, layer);
        return layer;
    }

    /// <summary>Trains one model and answers the test split with it.</summary>
    /// <returns>The official accuracy of every test question.</returns>
    private double[] Train(
        VqaExperiment experiment, PromptKind kind, int layer, string phase, QuickstartReport report, VqaTrainingData test, VqaScorer scorer, CancellationToken stop)
    {
        using TrainedRun run = experiment.Training(kind, layer);
        run.Trainer.OnProgress = _options.OnProgress;
        string checkpoint = _folder.Checkpoint(phase);
        run.KeepBest(_folder.Best(phase));
        _clock.Measure(phase, () =>
        {
            run.Trainer.TryResume(checkpoint);
            run.Trainer.Train(layer, checkpoint, stop);
            return 0;
        });
        return _clock.Measure("test, " + phase, () =>
        {
            int[] answers = run.Trainer.Predictor.Answers(test.Set, layer);
            report.Trained(phase, run);
            if (phase == "train")
            {
                run.Loaded.Save(_folder.Dvp);
                Engine.IO.AtomicFile.Write(
                    _folder.File("results_test.json"), s => VqaResults.Write(s, test.Split, [.. answers.Select(a => experiment.Vocabulary.Answers[a])]));
            }

            return (double[])[.. answers.Select((a, e) => scorer.Score(e, a))];
        });
    }
}
