using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Cli.Commands;

/// <summary>dvp diff: two files of results in the order of execution.</summary>
internal static class DiffCommand
{
    private const double DefaultRelative = 1e-4;
    private const double DefaultAbsolute = 1e-5;

    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "diff", "Compares two safetensors files in the order of execution and names the first state over tolerance.",
            "dvp diff ours.safetensors theirs.safetensors",
            "dvp diff ours.safetensors expected.safetensors --case tests/case/case.json",
            "dvp diff ours.safetensors theirs.safetensors --rtol 1e-3 --atol 1e-6 --json");
        Argument<string> actual = command.Argument("A", "The file under test.");
        Argument<string> expected = command.Argument("B", "The file to compare with; what it lacks is not demanded.");
        Option<string?> caseFile = command.With(CommonOptions.Text(
            "--case", "A case.json, or its folder, with a tolerance for every tensor. Default: one tolerance for all.", "file"));
        Option<double?> relative = command.With(CommonOptions.OptionalNumber(
            "--rtol", "Relative tolerance, by element.", 0, 1e9, "1E-04"));
        Option<double?> absolute = command.With(CommonOptions.OptionalNumber(
            "--atol", "Absolute tolerance, in units of the largest magnitude of the tensor.", 0, 1e9, "1E-05"));
        return command.Runs((parse, output) =>
        {
            string? rules = parse.GetValue(caseFile);
            if (rules is not null && (parse.GetValue(relative) ?? parse.GetValue(absolute)) is not null)
            {
                throw new DvpException("--case has its own tolerances; leave --rtol and --atol out, or --case.");
            }

            TensorDiffReport report = TensorDiff.Compare(
                parse.GetRequiredValue(actual),
                parse.GetRequiredValue(expected),
                rules is not null
                    ? CompareRules.Load(rules)
                    : CompareRules.Uniform(parse.GetValue(relative) ?? DefaultRelative, parse.GetValue(absolute) ?? DefaultAbsolute));
            Print(report, output);
            output.Result(json => Write(json, report));
            return (int)(report.Passed ? DvpExitCode.Success : DvpExitCode.Difference);
        });
    }

    private static void Print(TensorDiffReport report, CommandOutput output)
    {
        if (report.First is { } first)
        {
            output.Line($"First difference: {first}");
            TensorDifference[] more = [.. report.Tensors.Where(t => t.IsFailure).Skip(1)];
            foreach (TensorDifference tensor in more)
            {
                output.Line($"  {tensor}");
            }
        }
        else
        {
            output.Line(report.ToString());
            TensorDifference? largest = report.Tensors.Where(t => t.Kind == DifferenceKind.Within).MaxBy(t => t.RelativeToMax);
            if (largest is not null)
            {
                output.Line($"Largest: {largest}");
            }
        }

        int unasked = report.Tensors.Count(t => t.Kind == DifferenceKind.Extra);
        if (unasked > 0)
        {
            output.Line(string.Create(CultureInfo.InvariantCulture, $"{unasked} tensors are in the first file only."));
        }
    }

    private static void Write(Utf8JsonWriter json, TensorDiffReport report)
    {
        json.WriteBoolean("passed", report.Passed);
        json.WriteString("first", report.First?.Name);
        json.WriteStartArray("tensors");
        foreach (TensorDifference tensor in report.Tensors)
        {
            json.WriteStartObject();
            json.WriteString("name", tensor.Name);
            json.WriteString("outcome", tensor.Kind.ToString().ToLowerInvariant());
            json.WriteString("rule", tensor.Rule?.ToString());
            json.WriteNumber("count", tensor.Count);
            Number(json, "max_absolute", tensor.MaxAbsolute);
            Number(json, "relative_to_max", tensor.RelativeToMax);
            json.WriteNumber("count_over", tensor.CountOver);
            if (tensor.FirstOver is { } place)
            {
                json.WriteStartArray("first_over");
                foreach (int index in place)
                {
                    json.WriteNumberValue(index);
                }

                json.WriteEndArray();
                Number(json, "actual", tensor.Actual);
                Number(json, "expected", tensor.Expected);
            }

            json.WriteString("detail", tensor.Detail);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>JSON has no NaN and no infinity; they are written as text.</summary>
    private static void Number(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteString(name, value.ToString(CultureInfo.InvariantCulture));
        }
    }
}
