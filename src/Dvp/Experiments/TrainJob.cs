using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Optim;
using Dvp.Models.Bert;
using Dvp.Prompting;
using Dvp.Reporting;

namespace Dvp.Experiments;

/// <summary>What a training reached.</summary>
/// <param name="Layer">K</param>
/// <param name="BestAccuracy">Best accuracy on the held-out questions, in percent; null where none was measured.</param>
/// <param name="BestStep">Its step.</param>
/// <param name="Phases">Seconds by phase.</param>
/// <param name="Memory">Memory by kind.</param>
/// <param name="Run">The run folder.</param>
/// <param name="Dvp">The DVP folder after the last step.</param>
/// <param name="Best">The DVP folder of the best evaluation; null where none was measured.</param>
/// <param name="Report">The report's page.</param>
public sealed record TrainResult(
    int Layer, double? BestAccuracy, int BestStep, IReadOnlyList<PhaseTime> Phases, IReadOnlyList<MemoryUse> Memory, string Run, string Dvp,
    string? Best, string Report)
{
    /// <summary>The loss scale at the end and the steps that it skipped, where the device computes in f16.</summary>
    public LossScaleState? LossScale { get; init; }
}

/// <summary>The training at one layer, on its own. The test split is not touched.</summary>
public static class TrainJob
{
    /// <summary>Trains, and writes the DVP of the last step, that of the best evaluation, and a report into the run folder.</summary>
    /// <param name="options">What is asked for.</param>
    /// <param name="kind">How the picture enters.</param>
    /// <param name="layer">K</param>
    /// <param name="backend">The device.</param>
    /// <param name="stop">Ends the run after the step in progress; a checkpoint lets it go on.</param>
    /// <exception cref="DvpException">A file is missing or damaged, the layer is out of range, the disk is full, or the run was
    /// stopped.</exception>
    public static TrainResult Run(JobOptions options, PromptKind kind, int layer, Backend backend, CancellationToken stop = default)
    {
        Preset preset = options.Preset;
        if (kind != PromptKind.None && layer >= BertConfig.Load(options.Paths.LanguageModel).Layers)
        {
            throw new DvpException(string.Create(
                CultureInfo.InvariantCulture,
                $"Layer {layer} is outside the language model; choose an insertion layer from 0 to "
                    + $"{BertConfig.Load(options.Paths.LanguageModel).Layers - 1}."));
        }

        RunFolder folder = options.Folder();
        folder.WriteManifest(
        [
            ("command", "train"), ("preset", preset.Name), ("prompt", kind.ToString()),
            ("layer", layer.ToString(CultureInfo.InvariantCulture)),
            ("device", backend.Name), ("language_model", options.Paths.LanguageModel), ("vision_model", options.Paths.VisionModel),
            ("data", options.Paths.Data), ("train", preset.Train.Identity()), ("recompute_layers", preset.Train.RecomputeLayers ? "yes" : "no"),
        ]);
        PhaseClock clock = new() { OnPhase = options.OnPhase };
        using VqaExperiment experiment = clock.Measure(
            "features", () => VqaExperiment.Open(
                options.Paths, backend, preset, options.Features ?? folder.File("features"), options.OnPictures));
        using TrainedRun run = experiment.Training(kind, layer);
        string best = folder.File("dvp-best");
        run.Trainer.OnProgress = options.OnProgress;
        run.Trainer.OnBest = () => run.Loaded.Save(best);
        string checkpoint = folder.Checkpoint("train");
        clock.Measure("train", () =>
        {
            run.Trainer.TryResume(checkpoint);
            run.Trainer.Train(layer, checkpoint, stop);
            run.Loaded.Save(folder.Dvp);
            return 0;
        });
        bool measured = run.Trainer.State.Accuracies.Count > 0;
        PhaseTime[] phases = [.. clock.Phases.Select(p => new PhaseTime(p.Name, p.Seconds))];
        IReadOnlyList<MemoryUse> memory = MemoryKinds.Of(run, experiment);
        string page = ReportWriter.Save(
            new RunReport
            {
                Title = string.Create(CultureInfo.InvariantCulture, $"Training at K = {layer}"),
                Created = DateTimeOffset.Now,
                Preset = preset.Name,
                Configuration =
                [
                    new ReportFact("preset", preset.Description),
                    new ReportFact("data", options.Paths.Data),
                    new ReportFact("prompt", kind.ToString()),
                    new ReportFact("device", backend.Name),
                    new ReportFact("training", preset.Train.Identity()),
                    .. LossScaleFact.Of("train", run.Trainer.State),
                ],
                Training = new TrainingReport
                {
                    Loss = [QuickstartReport.Smoothed("train", run.Trainer.State.Losses)],
                    Accuracy = [new Curve(
                        "held-out", [.. run.Trainer.State.Accuracies.Select(p => new CurvePoint(p.Step, 100 * p.Value))])],
                },
                Phases = phases,
                Memory = memory,
            },
            folder.Path);
        return new TrainResult(
            layer,
            measured ? 100 * run.Trainer.State.BestAccuracy : null,
            run.Trainer.State.BestStep,
            phases,
            memory,
            folder.Path,
            folder.Dvp,
            measured ? best : null,
            page)
        {
            LossScale = run.Trainer.State.LossScale,
        };
    }
}
