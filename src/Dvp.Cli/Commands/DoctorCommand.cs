using System.CommandLine;
using Dvp.Engine;
using Dvp.Profiling;

namespace Dvp.Cli.Commands;

/// <summary>dvp doctor: what the machine has, and whether the program works on it.</summary>
internal static class DoctorCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "doctor", "Prints what the machine has, what was searched, found and missing for CUDA, and checks one computation on every device.",
            "dvp doctor",
            "dvp doctor --timing --json");
        Option<bool> timing = command.With(CommonOptions.Switch(
            "--timing", "Also prints the time from process start to the first launch and the first result of a device, and measures rates. Default: off."));
        Option<int> threads = command.With(CommonOptions.Threads());
        return command.Runs((parse, output) =>
        {
            DoctorReport report = Doctor.Examine(parse.GetValue(threads), parse.GetValue(timing));
            TextTable table = new("section", "what", "found");
            foreach (DoctorFinding finding in report.Findings)
            {
                table.Row(finding.Section, finding.Name, finding.Value);
            }

            output.Table(table);
            foreach (DoctorFinding finding in report.Findings.Where(f => f.Mend is not null))
            {
                output.Line($"{finding.Section}, {finding.Name}: {finding.Mend}");
            }

            output.Line(report.Healthy ? "All well: the program works on this machine." : "Something is wrong, see above.");
            output.Result(json =>
            {
                json.WriteBoolean("healthy", report.Healthy);
                json.WriteStartArray("findings");
                foreach (DoctorFinding finding in report.Findings)
                {
                    json.WriteStartObject();
                    json.WriteString("section", finding.Section);
                    json.WriteString("name", finding.Name);
                    json.WriteString("value", finding.Value);
                    json.WriteString("mend", finding.Mend);
                    json.WriteBoolean("wrong", finding.Wrong);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return (int)(report.Healthy ? DvpExitCode.Success : DvpExitCode.Difference);
        });
    }
}
