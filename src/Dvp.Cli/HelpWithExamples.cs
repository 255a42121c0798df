using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Dvp.Cli;

/// <summary>
/// Help as the parser prints it, followed by the command's examples, or by the exit codes where it is the help of the tool.
/// </summary>
/// <param name="help">The parser's own help.</param>
internal sealed class HelpWithExamples(HelpAction help) : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        help.MaxWidth = 120; // the same text whatever the terminal: it is also what the documentation and the tests read
        int code = help.Invoke(parseResult);
        TextWriter output = parseResult.InvocationConfiguration.Output;
        if (parseResult.CommandResult.Command is DvpCommand command)
        {
            output.WriteLine("Examples:");
            foreach (string example in command.Examples)
            {
                output.WriteLine($"  {example}");
            }
        }
        else
        {
            output.WriteLine("Exit codes:");
            output.WriteLine("  0    done");
            output.WriteLine("  1    a comparison or check found a difference (diff, inspect, doctor)");
            output.WriteLine("  2    a file, a value or a flag is wrong");
            output.WriteLine("  3    the device asked for is not there, or it failed");
            output.WriteLine("  70   an internal error");
            output.WriteLine("  130  stopped by Ctrl-C after the state was saved");
            output.WriteLine();
            output.WriteLine("Start with: dvp quickstart");
        }

        output.WriteLine();
        return code;
    }
}
