using System.CommandLine;
using System.CommandLine.Invocation;
using Dvp.Engine;

namespace Dvp.Cli;

/// <summary>The entry point of <c>dvp</c>.</summary>
internal static class Program
{
    /// <summary>Runs one command as the shell would, with the output going to the given writers.</summary>
    /// <param name="args">The arguments after the program's name.</param>
    /// <param name="output">Results.</param>
    /// <param name="error">Errors, and progress where results must stay clean.</param>
    /// <param name="terminal">Whether a person looks at the output: tables are drawn and progress overwrites its line.</param>
    /// <returns>The exit code, see <see cref="DvpExitCode"/>.</returns>
    internal static int Run(IReadOnlyList<string> args, TextWriter output, TextWriter error, bool terminal = false)
    {
        CliHost host = new(output, error, terminal);
        ParseResult parse = CommandTree.Build(host).Parse(args, CommandTree.Parsing);
        if (parse.Action is ParseErrorAction)
        {
            return Errors.Report(host, parse, new DvpException(ParseErrors.Sentence(parse)));
        }

        try
        {
            return parse.Invoke(new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            });
        }
        catch (IOException) when (!terminal)
        {
            return (int)DvpExitCode.Difference; // whoever read the output has closed it (dvp ... | head)
        }
    }

    private static int Main(string[] args) => Run(args, Console.Out, Console.Error, terminal: !Console.IsOutputRedirected);
}
