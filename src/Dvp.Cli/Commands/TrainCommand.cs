using System.CommandLine;
using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Experiments;
using Dvp.Prompting;

namespace Dvp.Cli.Commands;

/// <summary>dvp train: prompt, adapters, norms and head at one layer.</summary>
internal static class TrainCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "train", "Trains prompt attention, adapters, norms and head at one insertion layer, and saves a DVP folder.",
            "dvp train --layer 2",
            "dvp train --layer-from runs/search --steps 900 --rate 5e-4 --run runs/longer",
            "dvp train --layer 2 --prompt none --run runs/text-only",
            "dvp train --layer 2 --batch 64 --recompute-layers",
            "dvp train --layer 2 --run runs/train --resume");
        ExperimentOptions experiment = new(command);
        RecipeOptions recipe = new(command, trains: true, searches: false);
        Option<int?> layer = command.With(CommonOptions.OptionalInteger("--layer", "Insertion layer K.", 0, 1000, "that of --layer-from"));
        Option<string?> from = command.With(CommonOptions.Text(
            "--layer-from", "Run folder of a search whose layer is taken. Default: --layer.", "folder"));
        Option<string> prompt = command.With(CommonOptions.OneOf(
            "--prompt", "How the picture enters; all but dynamic are baselines:", "dynamic", "dynamic", "all-tokens", "mean-pooled",
            "none"));
        RunOptions runs = new(command);
        return command.Runs((parse, output) =>
        {
            PromptKind kind = parse.GetValue(prompt) switch
            {
                "all-tokens" => PromptKind.AllTokens,
                "mean-pooled" => PromptKind.MeanPooled,
                "none" => PromptKind.None,
                _ => PromptKind.Dynamic,
            };
            int k = (parse.GetValue(layer), parse.GetValue(from)) switch
            {
                ({ } given, null) => given,
                (null, { } search) => SearchJob.LayerOf(search),
                (null, null) when kind == PromptKind.None => 0,
                (null, null) => throw new DvpException(
                    "No layer was given; give --layer, or --layer-from with the run folder of a search."),
                _ => throw new DvpException("--layer and --layer-from exclude each other."),
            };
            string folder = runs.Folder(parse);
            using Backend backend = experiment.Open(parse, output);
            JobOptions options = Jobs.Options(output, experiment, recipe, runs, parse, folder, backend);
            TrainResult result = runs.Stoppable(host, folder, stop => TrainJob.Run(options, kind, k, backend, stop));
            output.Line();
            WorkReport.Panel(output, result.Phases, result.Memory);
            if (result.LossScale is { } scale)
            {
                output.Line($"Loss scale at the end: {scale}");
            }

            if (result.BestAccuracy is { } best)
            {
                output.Line(string.Create(
                    CultureInfo.InvariantCulture, $"Best held-out accuracy: {best:0.0} % at step {result.BestStep} ({result.Best})"));
            }

            output.Line($"DVP: {result.Dvp}");
            output.Line($"Evaluate it: dvp eval --dvp {result.Dvp}");
            output.Line($"Report: {result.Report}");
            output.Result(json =>
            {
                json.WriteNumber("layer", result.Layer);
                if (result.BestAccuracy is { } accuracy)
                {
                    json.WriteNumber("best_accuracy", accuracy);
                    json.WriteNumber("best_step", result.BestStep);
                    json.WriteString("best", result.Best);
                }

                json.WriteString("dvp", result.Dvp);
                WorkReport.Write(json, result.LossScale);
                WorkReport.Write(json, result.Phases, result.Memory);
                json.WriteString("report", result.Report);
                json.WriteString("run", result.Run);
                DeviceProof.Write(json, backend);
            });
            return 0;
        });
    }
}
