using System.CommandLine;
using Dvp.Engine;
using Dvp.Evaluation;

namespace Dvp.Cli.Commands;

/// <summary>dvp inspect: what a file or folder holds, and what is wrong with it.</summary>
internal static class InspectCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "inspect",
            "Names what a file or folder holds (model, DVP, data set, features, run, tensors, picture) and what is wrong with it.",
            "dvp inspect samples/easy-vqa/language-model",
            "dvp inspect samples/easy-vqa/data",
            "dvp inspect runs/quickstart/dvp --model samples/easy-vqa/language-model --json");
        Argument<string> path = command.Argument("path", "The file or folder.");
        Option<string?> model = command.With(CommonOptions.Text(
            "--model", "Language model to check a DVP folder against. Default: the folder is checked alone.", "folder"));
        return command.Runs((parse, output) =>
        {
            InspectionReport report = Inspector.Inspect(parse.GetRequiredValue(path), parse.GetValue(model));
            output.Line($"{report.Path}: {report.Title}");
            TextTable facts = new("what", "value");
            foreach (InspectionFact fact in report.Facts)
            {
                facts.Row(fact.Name, fact.Value);
            }

            if (report.Facts.Count > 0)
            {
                output.Table(facts);
            }

            foreach (string problem in report.Problems)
            {
                output.Line($"wrong: {problem}");
            }

            output.Line(report.Problems.Count == 0 ? "Nothing is wrong with it." : $"{report.Problems.Count} problem(s).");
            output.Result(json =>
            {
                json.WriteString("path", report.Path);
                json.WriteString("kind", report.Kind.ToString().ToLowerInvariant());
                json.WriteString("title", report.Title);
                json.WriteStartObject("facts");
                foreach (InspectionFact fact in report.Facts)
                {
                    json.WriteString(fact.Name, fact.Value);
                }

                json.WriteEndObject();
                json.WriteStartArray("problems");
                foreach (string problem in report.Problems)
                {
                    json.WriteStringValue(problem);
                }

                json.WriteEndArray();
            });
            return (int)(report.Problems.Count == 0 ? DvpExitCode.Success : DvpExitCode.Difference);
        });
    }
}
