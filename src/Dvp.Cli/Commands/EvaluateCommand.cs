using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Evaluation;
using Dvp.Experiments;
using Dvp.Tasks.Vqa;

namespace Dvp.Cli.Commands;

/// <summary>dvp eval: a trained DVP on a split.</summary>
internal static class EvaluateCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "eval", "Answers every question of a split and prints the official accuracy with intervals, by question type.",
            "dvp eval --dvp runs/train/dvp",
            "dvp eval --dvp runs/train/dvp --split val --output results.json --json");
        Option<string> dvp = command.With(CommonOptions.Required("--dvp", "Folder of the trained DVP.", "folder"));
        Option<string> split = command.With(CommonOptions.Text("--split", "Split of the data set.", "name", "test"));
        Option<string?> target = command.With(CommonOptions.Text(
            "--output", "File for the answers, as the evaluation server takes them. Default: none.", "file"));
        Option<bool> force = command.With(CommonOptions.Switch("--force", "Accepts a DVP that was trained on other models. Default: off."));
        ExperimentOptions experiment = new(command);
        return command.Runs((parse, output) =>
        {
            using Backend backend = experiment.Open(parse, output);
            EvaluationResult result = EvaluationJob.Run(
                experiment.Paths(parse),
                parse.GetRequiredValue(dvp),
                parse.GetValue(split)!,
                experiment.Features(parse),
                backend,
                parse.GetValue(force),
                Jobs.OnPictures(output));
            if (parse.GetValue(target) is { } file)
            {
                VqaResults.Save(file, result.Split, result.Answers);
                output.Line($"Answers: {file}");
            }

            Print(output, result);
            output.Result(json => Write(json, result, backend));
            return 0;
        });
    }

    private static void Print(CommandOutput output, EvaluationResult result)
    {
        output.Line(string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Answers.Count} questions of \"{result.Split.Name}\", {result.QuestionsPerSecond:0} a second."));
        if (result.Accuracy is not { } accuracy)
        {
            output.Line("The split has no answers to compare with.");
            return;
        }

        TextTable table = new("questions", ">count", "accuracy (95 % interval)");
        foreach (GroupAccuracy group in result.ByQuestionType.Concat(result.ByAnswerType))
        {
            table.Row(group.Group, group.Count.ToString(CultureInfo.InvariantCulture), WorkReport.Percent(group.Accuracy));
        }

        table.Row("all", result.Answers.Count.ToString(CultureInfo.InvariantCulture), WorkReport.Percent(accuracy));
        if (result.Majority is { } majority)
        {
            table.Row(
                "all, by the majority answer", result.Answers.Count.ToString(CultureInfo.InvariantCulture), WorkReport.Percent(majority));
        }

        output.Table(table);
    }

    private static void Write(Utf8JsonWriter json, EvaluationResult result, Backend backend)
    {
        json.WriteString("split", result.Split.Name);
        json.WriteNumber("questions", result.Answers.Count);
        json.WriteNumber("questions_per_second", result.QuestionsPerSecond);
        if (result.Accuracy is { } accuracy)
        {
            WorkReport.Write(json, "accuracy", accuracy);
        }

        if (result.Majority is { } majority)
        {
            WorkReport.Write(json, "accuracy_majority", majority);
        }

        Groups(json, "by_question_type", result.ByQuestionType);
        Groups(json, "by_answer_type", result.ByAnswerType);
        DeviceProof.Write(json, backend);
    }

    private static void Groups(Utf8JsonWriter json, string name, IReadOnlyList<GroupAccuracy> groups)
    {
        json.WriteStartArray(name);
        foreach (GroupAccuracy group in groups)
        {
            json.WriteStartObject();
            json.WriteString("group", group.Group);
            json.WriteNumber("count", group.Count);
            WorkReport.Write(json, "accuracy", group.Accuracy);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
