using System.Globalization;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Optim;
using Dvp.Reporting;
using Dvp.Search;

namespace Dvp.Experiments;

/// <summary>What a layer search found.</summary>
/// <param name="Layer">K</param>
/// <param name="Summary">Preferences, rewards and scores by layer.</param>
/// <param name="Phases">Seconds by phase.</param>
/// <param name="Memory">Memory by kind.</param>
/// <param name="Run">The run folder.</param>
/// <param name="Report">The report's page.</param>
public sealed record SearchResult(
    int Layer, SearchReport Summary, IReadOnlyList<PhaseTime> Phases, IReadOnlyList<MemoryUse> Memory, string Run, string Report)
{
    /// <summary>The loss scale at the end and the steps that it skipped, where the device computes in f16.</summary>
    public LossScaleState? LossScale { get; init; }
}

/// <summary>The search for the insertion layer, on its own.</summary>
public static class SearchJob
{
    /// <summary>The file in a run folder that names the layer.</summary>
    public const string ResultName = "search.json";

    /// <summary>Searches, and writes the layer and a report into the run folder.</summary>
    /// <param name="options">What is asked for.</param>
    /// <param name="strategy">One of <see cref="LayerSearches.Names"/>.</param>
    /// <param name="backend">The device.</param>
    /// <param name="stop">Ends the run after the step in progress; a checkpoint lets it go on.</param>
    /// <exception cref="DvpException">A file is missing or damaged, the disk is full, or the run was stopped.</exception>
    public static SearchResult Run(JobOptions options, string strategy, Backend backend, CancellationToken stop = default)
    {
        Preset preset = options.Preset;
        RunFolder folder = options.Folder();
        folder.WriteManifest(
        [
            ("command", "search"), ("preset", preset.Name), ("strategy", strategy), ("device", backend.Name),
            ("language_model", options.Paths.LanguageModel), ("vision_model", options.Paths.VisionModel), ("data", options.Paths.Data),
            ("search", preset.Search.Identity()), ("recompute_layers", preset.Search.RecomputeLayers ? "yes" : "no"),
        ]);
        PhaseClock clock = new() { OnPhase = options.OnPhase };
        using VqaExperiment experiment = clock.Measure(
            "features", () => VqaExperiment.Open(
                options.Paths, backend, preset, options.Features ?? folder.File("features"), options.OnPictures));
        using TrainedRun run = experiment.Searching();
        run.Trainer.OnProgress = options.OnProgress;
        string checkpoint = folder.Checkpoint("search");
        ILayerSearch search = LayerSearches.Create(strategy, new SearchSettings(
            experiment.Language.Layers, preset.SearchSamples, preset.Search.Steps, preset.Search.Seed));
        int layer = clock.Measure("search", () =>
        {
            run.Trainer.TryResume(checkpoint);
            return run.Trainer.Search(search, preset.SearchValidationBatch, checkpoint, stop);
        });
        SearchReport summary = SearchSummary.Of(search, run.Trainer.State, layer);
        PhaseTime[] phases = [.. clock.Phases.Select(p => new PhaseTime(p.Name, p.Seconds))];
        IReadOnlyList<MemoryUse> memory = MemoryKinds.Of(run, experiment);
        AtomicFile.WriteText(folder.File(ResultName), Json(summary));
        string page = ReportWriter.Save(
            new RunReport
            {
                Title = string.Create(CultureInfo.InvariantCulture, $"Layer search: K = {layer}"),
                Created = DateTimeOffset.Now,
                Preset = preset.Name,
                Findings = summary.Finding is { } finding ? [finding] : [],
                Configuration =
                [
                    new ReportFact("preset", preset.Description),
                    new ReportFact("data", options.Paths.Data),
                    new ReportFact("device", backend.Name),
                    new ReportFact("search", preset.Search.Identity()),
                    .. LossScaleFact.Of("search", run.Trainer.State),
                ],
                Search = summary,
                Training = new TrainingReport { Loss = [QuickstartReport.Smoothed("search", run.Trainer.State.Losses)] },
                Phases = phases,
                Memory = memory,
            },
            folder.Path);
        return new SearchResult(layer, summary, phases, memory, folder.Path, page) { LossScale = run.Trainer.State.LossScale };
    }

    /// <summary>The layer that a search left in its run folder.</summary>
    /// <exception cref="DvpException">There was no search, or its file is damaged.</exception>
    public static int LayerOf(string run) => ConfigFile.Load(Path.Combine(run, ResultName)).Int("layer");

    private static string Json(SearchReport summary)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("strategy", summary.Algorithm);
            json.WriteNumber("layer", summary.Layer);
            json.WriteStartArray("layers");
            foreach (LayerReward reward in summary.Rewards)
            {
                json.WriteStartObject();
                json.WriteNumber("layer", reward.Layer);
                json.WriteNumber("draws", reward.Draws);
                json.WriteNumber("mean_reward", reward.MeanReward);
                json.WriteNumber("mean_score", reward.MeanScore);
                json.WriteNumber("probability", reward.Probability);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }
}
