using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using Spectre.Console;

namespace Dvp.Cli;

/// <summary>
/// What a command prints. For people: lines and tables; with <c>--json</c>: one object at the end, and everything else on the error output.
/// </summary>
internal sealed class CommandOutput
{
    /// <summary>Indented, and readable: nothing but what JSON demands is escaped.</summary>
    public static readonly JsonWriterOptions JsonOptions = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly CliHost _host;
    private readonly ProgressLine _progress;

    /// <summary>Makes the output of one command.</summary>
    public CommandOutput(CliHost host, ParseResult parse)
    {
        _host = host;
        Json = parse.GetValue<bool>(CommonOptions.JsonName);
        _progress = new ProgressLine(Json ? host.Error : host.Out, overwrite: host.Terminal && !Json);
    }

    /// <summary>Whether the result is to be one JSON object.</summary>
    public bool Json { get; }

    /// <summary>Whether a person looks on.</summary>
    public bool Terminal => _host.Terminal && !Json;

    private TextWriter People => Json ? _host.Error : _host.Out;

    /// <summary>A line of the result; not with <c>--json</c>, whose object has the same.</summary>
    public void Line(string text = "")
    {
        if (!Json)
        {
            EndProgress();
            _host.Out.WriteLine(text);
        }
    }

    /// <summary>A line on what is being done: on the error output with <c>--json</c>.</summary>
    public void Note(string text)
    {
        EndProgress();
        People.WriteLine(text);
    }

    /// <summary>A table of the result; not with <c>--json</c>.</summary>
    public void Table(TextTable table)
    {
        if (Json)
        {
            return;
        }

        EndProgress();
        if (Terminal)
        {
            Draw(table.ToSpectre());
        }
        else
        {
            _host.Out.Write(table.ToText());
        }
    }

    /// <summary>The progress of long work: overwrites its line on a terminal, plain lines at intervals elsewhere.</summary>
    /// <param name="text">The state now.</param>
    /// <param name="important">Whether the line must be kept.</param>
    public void Progress(string text, bool important = false) => _progress.Show(text, important);

    /// <summary>Ends a progress line that stands on the terminal.</summary>
    public void EndProgress() => _progress.End();

    /// <summary>The result as an object; nothing without <c>--json</c>.</summary>
    /// <param name="properties">Writes the properties.</param>
    public void Result(Action<Utf8JsonWriter> properties)
    {
        EndProgress();
        if (Json)
        {
            Errors.WriteJson(_host.Out, properties);
        }
    }

    private void Draw(Spectre.Console.Rendering.IRenderable renderable)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(_host.Out),
            Ansi = _host.Terminal ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = _host.Colour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });
        console.Write(renderable);
    }
}
