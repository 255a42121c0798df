using System.CommandLine;
using System.Text.Json;
using Dvp.Engine;

namespace Dvp.Cli;

/// <summary>How an error ends a command: one sentence on the error output, and an exit code.</summary>
internal static class Errors
{
    /// <summary>The exit code of an error that is no mistake of the user's (EX_SOFTWARE of sysexits).</summary>
    public const int Internal = 70;

    /// <summary>Prints an error and returns the exit code that goes with it.</summary>
    /// <param name="host">Where to.</param>
    /// <param name="parse">The command line: --json adds an object, --verbose the stack trace.</param>
    /// <param name="error">The error.</param>
    public static int Report(CliHost host, ParseResult parse, Exception error)
    {
        (string sentence, int code) = error switch
        {
            DvpException known => (known.Message, (int)known.ExitCode),
            OperationCanceledException => ("Stopped; nothing was left half-written.", (int)DvpExitCode.Interrupted),
            IOException or UnauthorizedAccessException => (error.Message, (int)DvpExitCode.BadInput),
            _ => (
                $"internal error ({error.GetType().Name}: {OneLine(error.Message)}); run with --verbose and report what it prints.",
                Internal),
        };
        host.Error.WriteLine($"dvp: {OneLine(sentence)}");
        if (Flag(parse, CommonOptions.VerboseName))
        {
            host.Error.WriteLine(error);
        }

        if (Flag(parse, CommonOptions.JsonName))
        {
            WriteJson(host.Out, json =>
            {
                json.WriteString("error", OneLine(sentence));
                json.WriteNumber("exit_code", code);
            });
        }

        return code;
    }

    /// <summary>Writes one JSON object and a line end.</summary>
    public static void WriteJson(TextWriter output, Action<Utf8JsonWriter> properties)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, CommandOutput.JsonOptions))
        {
            json.WriteStartObject();
            properties(json);
            json.WriteEndObject();
        }

        output.WriteLine(System.Text.Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length));
    }

    private static string OneLine(string text) => text.ReplaceLineEndings(" ");

    // Read from the tokens: where the command line could not be parsed, options have no values.
    private static bool Flag(ParseResult parse, string name) => parse.Tokens.Any(t => t.Value == name);
}
