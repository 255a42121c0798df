using System.CommandLine;
using System.Text.Json;
using Dvp.Cli;
using Xunit;

namespace Dvp.Tests.Cli;

/// <summary>One run of the tool within the test's own process.</summary>
/// <param name="Code">The exit code.</param>
/// <param name="Out">The standard output.</param>
/// <param name="Error">The error output.</param>
internal sealed record ToolRun(int Code, string Out, string Error)
{
    /// <summary>The one object that <c>--json</c> prints.</summary>
    public JsonElement Json
    {
        get
        {
            using JsonDocument document = JsonDocument.Parse(Out);
            return document.RootElement.Clone();
        }
    }
}

/// <summary>Runs the tool.</summary>
internal static class Tool
{
    public static ToolRun Run(params string[] args)
    {
        using StringWriter output = new();
        using StringWriter error = new();
        int code = Program.Run(args, output, error);
        return new ToolRun(code, output.ToString(), error.ToString());
    }

    /// <summary>The command tree, as the tool builds it.</summary>
    public static RootCommand Commands() => CommandTree.Build(new CliHost(TextWriter.Null, TextWriter.Null, Terminal: false));

    /// <summary>The run failed as errors have to: nothing but one line on the error output that names what is wrong.</summary>
    public static void AssertFails(int code, string names, params string[] args)
    {
        ToolRun run = Run(args);
        Assert.Equal("", run.Out);
        string line = Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.StartsWith("dvp: ", line);
        Assert.Contains(names, line);
        Assert.DoesNotContain("   at ", line);
        Assert.Equal(code, run.Code);
    }
}
