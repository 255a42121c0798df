using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Experiments;
using Dvp.Reporting;

namespace Dvp.Cli.Commands;

/// <summary>dvp quickstart: search, train, evaluate and report, end to end.</summary>
internal static class QuickstartCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "quickstart", "Does the whole job: features, layer search, training, baselines, test accuracy, and a report to open.",
            "dvp quickstart",
            "dvp quickstart --preset paper --seed 7",
            "dvp quickstart --exhaustive --run runs/all-layers --json",
            "dvp quickstart --run runs/quickstart --resume");
        ExperimentOptions experiment = new(command);
        RecipeOptions recipe = new(command, trains: true, searches: true);
        Option<bool> exhaustive = command.With(CommonOptions.Switch(
            "--exhaustive", "Also trains at every other layer, so that the search can be judged. Default: off."));
        RunOptions runs = new(command);
        return command.Runs((parse, output) =>
        {
            string folder = runs.Folder(parse);
            using Backend backend = experiment.Open(parse, output);
            string phase = "";
            Preset preset = recipe.Recipe(parse);
            output.Note($"{backend.Name}; preset {preset.Name}; run folder {folder}");
            QuickstartOptions options = new()
            {
                Paths = experiment.Paths(parse),
                Run = folder,
                Preset = preset,
                Strategy = recipe.Strategy(parse),
                Exhaustive = parse.GetValue(exhaustive),
                Resume = runs.Resumes(parse),
                Features = experiment.Features(parse),
                OnPhase = name => output.Progress(phase = name, important: true),
                OnProgress = p => output.Progress(WorkReport.Progress(phase, p), important: p.Accuracy is not null || p.Step == p.Steps),
            };
            QuickstartResult result = runs.Stoppable(host, folder, stop => Quickstart.Run(options, backend, stop));
            Print(output, result);
            output.Result(json => Write(json, result, backend));
            return 0;
        });
    }

    private static void Print(CommandOutput output, QuickstartResult result)
    {
        RunReport details = result.Details;
        output.Line();
        foreach (ReportExample example in details.Examples)
        {
            AnswerProbability best = example.Answers[0];
            output.Line(string.Create(
                CultureInfo.InvariantCulture,
                $"{example.Question} -> {best.Answer} ({best.Probability:0.00}), truth: {example.TrueAnswer}"));
        }

        output.Line();
        output.Table(new TextTable("test split", "accuracy (95 % interval)")
            .Row(string.Create(CultureInfo.InvariantCulture, $"DVP at layer {result.Layer}"), WorkReport.Percent(result.Accuracy))
            .Row("text only, same training", WorkReport.Percent(result.AccuracyTextOnly))
            .Row("majority answer", WorkReport.Percent(result.AccuracyMajority)));
        output.Line();
        if (details.Search is { Exhaustive.Count: > 0 } search)
        {
            TextTable layers = new("layer", "accuracy (95 % interval)", ">best on, % of resamples");
            foreach (LayerResult layer in search.Exhaustive)
            {
                layers.Row(
                    layer.Layer.ToString(CultureInfo.InvariantCulture),
                    WorkReport.Percent(layer.Accuracy),
                    (100 * layer.LeadShare).ToString("0", CultureInfo.InvariantCulture));
            }

            output.Table(layers);
            output.Line();
        }

        foreach (string finding in details.Findings)
        {
            output.Line(finding);
        }

        output.Line();
        WorkReport.Panel(output, details.Phases, details.Memory);
        output.Line(string.Create(CultureInfo.InvariantCulture, $"Most memory at once: {result.PeakMemoryBytes / 1e6:0} MB"));
        output.Line($"Report: {result.Report}");
    }

    private static void Write(Utf8JsonWriter json, QuickstartResult result, Backend backend)
    {
        json.WriteNumber("layer", result.Layer);
        WorkReport.Write(json, "accuracy", result.Accuracy);
        WorkReport.Write(json, "accuracy_text_only", result.AccuracyTextOnly);
        WorkReport.Write(json, "accuracy_majority", result.AccuracyMajority);
        if (result.Details.Search is { Exhaustive.Count: > 0 } search)
        {
            json.WriteStartArray("layers");
            foreach (LayerResult layer in search.Exhaustive)
            {
                json.WriteStartObject();
                json.WriteNumber("layer", layer.Layer);
                WorkReport.Write(json, "accuracy", layer.Accuracy);
                json.WriteNumber("best_share", Math.Round(layer.LeadShare, 4));
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        WorkReport.Write(json, result.Details.Phases, result.Details.Memory);
        json.WriteNumber("peak_memory_bytes", result.PeakMemoryBytes);
        json.WriteString("preset", result.Details.Preset);
        json.WriteStartArray("findings");
        foreach (string finding in result.Details.Findings)
        {
            json.WriteStringValue(finding);
        }

        json.WriteEndArray();
        json.WriteString("report", result.Report);
        json.WriteString("run", result.Run);
        DeviceProof.Write(json, backend);
    }
}
