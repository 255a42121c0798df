using System.CommandLine;
using System.Globalization;
using Dvp.Engine.Devices;
using Dvp.Experiments;
using Dvp.Reporting;

namespace Dvp.Cli.Commands;

/// <summary>dvp search: the insertion layer of a language model for a data set.</summary>
internal static class SearchCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "search", "Searches for the layer K before which the prompt enters, with KAB-APP or another strategy.",
            "dvp search",
            "dvp search --language-model bert-base-uncased --vision-model clip-vit-base-patch16 --data vqa --preset paper --run runs/k",
            "dvp search --strategy exhaustive --search-steps 300 --seed 3 --json");
        ExperimentOptions experiment = new(command);
        RecipeOptions recipe = new(command, trains: false, searches: true);
        RunOptions runs = new(command);
        return command.Runs((parse, output) =>
        {
            string folder = runs.Folder(parse);
            using Backend backend = experiment.Open(parse, output);
            JobOptions options = Jobs.Options(output, experiment, recipe, runs, parse, folder, backend);
            SearchResult result = runs.Stoppable(host, folder, stop => SearchJob.Run(options, recipe.Strategy(parse), backend, stop));
            TextTable table = new(">layer", ">draws", ">mean score", ">mean reward", ">probability");
            foreach (LayerReward reward in result.Summary.Rewards)
            {
                table.Row(
                    reward.Layer.ToString(CultureInfo.InvariantCulture),
                    reward.Draws.ToString(CultureInfo.InvariantCulture),
                    reward.MeanScore.ToString("0.0", CultureInfo.InvariantCulture),
                    reward.MeanReward.ToString("+0.00;-0.00;0.00", CultureInfo.InvariantCulture),
                    reward.Probability.ToString("0.000", CultureInfo.InvariantCulture));
            }

            output.Table(table);
            output.Line(string.Create(CultureInfo.InvariantCulture, $"Layer {result.Layer} ({result.Summary.Algorithm})."));
            if (result.Summary.Finding is { } finding)
            {
                output.Line(finding);
            }

            output.Line();
            WorkReport.Panel(output, result.Phases, result.Memory);
            if (result.LossScale is { } scale)
            {
                output.Line($"Loss scale at the end: {scale}");
            }

            output.Line($"Train there: dvp train --layer-from {result.Run}");
            output.Line($"Report: {result.Report}");
            output.Result(json =>
            {
                json.WriteNumber("layer", result.Layer);
                json.WriteString("strategy", result.Summary.Algorithm);
                json.WriteString("finding", result.Summary.Finding);
                json.WriteStartArray("layers");
                foreach (LayerReward reward in result.Summary.Rewards)
                {
                    json.WriteStartObject();
                    json.WriteNumber("layer", reward.Layer);
                    json.WriteNumber("draws", reward.Draws);
                    json.WriteNumber("mean_score", reward.MeanScore);
                    json.WriteNumber("mean_reward", reward.MeanReward);
                    json.WriteNumber("probability", reward.Probability);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
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
