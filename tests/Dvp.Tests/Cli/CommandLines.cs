using System.CommandLine;
using System.CommandLine.Parsing;
using Dvp.Cli;
using Xunit;

namespace Dvp.Tests.Cli;

/// <summary>Command lines as documents show them.</summary>
internal static class CommandLines
{
    /// <summary>The lines of the sh blocks of a document that call the tool, continued lines joined.</summary>
    public static IEnumerable<string> InDocument(string markdown)
    {
        bool inside = false;
        string held = "";
        foreach (string line in markdown.Split('\n'))
        {
            string text = line.Trim();
            if (text.StartsWith("```", StringComparison.Ordinal))
            {
                inside = !inside && text is "```sh" or "```bash" or "```console";
                continue;
            }

            if (!inside)
            {
                continue;
            }

            held += text.TrimEnd('\\');
            if (text.EndsWith('\\'))
            {
                continue;
            }

            if (Arguments(held) is not null)
            {
                yield return held;
            }

            held = "";
        }
    }

    /// <summary>Fails where the tool does not understand a line.</summary>
    public static void AssertParses(string line)
    {
        IReadOnlyList<string>? args = Arguments(line);
        Assert.True(args is not null, $"not a call of the tool: {line}");
        ParseResult parse = Tool.Commands().Parse(args, CommandTree.Parsing);
        Assert.True(parse.Errors.Count == 0, $"{line}: {string.Join("; ", parse.Errors.Select(e => e.Message))}");
    }

    /// <summary>The tool's arguments in a shell line; null where the line calls something else.</summary>
    private static List<string>? Arguments(string line)
    {
        string text = line.TrimStart('$', ' ');
        int inner = text.IndexOf("<(dvp ", StringComparison.Ordinal);
        if (inner >= 0)
        {
            text = text[(inner + 2)..].TrimEnd(')');
        }

        List<string> words = [.. CommandLineParser.SplitCommandLine(text)];
        int comment = words.FindIndex(w => w.StartsWith('#'));
        int end = words.FindIndex(w => w is "|" or ">" or "&&" or ";");
        foreach (int cut in new[] { comment, end })
        {
            if (cut >= 0 && cut < words.Count)
            {
                words.RemoveRange(cut, words.Count - cut);
            }
        }

        if (words.Count == 0)
        {
            return null;
        }

        if (words[0] == "dvp" || words[0].EndsWith("/dvp", StringComparison.Ordinal))
        {
            return words[1..];
        }

        bool runs = words is ["dotnet", "run", ..] && words.Any(w => w.Contains("Dvp.Cli", StringComparison.Ordinal));
        int dashes = words.IndexOf("--");
        return runs ? (dashes < 0 ? [] : words[(dashes + 1)..]) : null;
    }
}
