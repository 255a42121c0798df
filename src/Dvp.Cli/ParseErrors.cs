using System.CommandLine;

namespace Dvp.Cli;

/// <summary>What was wrong with a command line, in one sentence.</summary>
internal static class ParseErrors
{
    /// <summary>The first thing that is wrong, and where to read on.</summary>
    public static string Sentence(ParseResult parse)
    {
        Command command = parse.CommandResult.Command;
        string problem = parse.UnmatchedTokens.Count > 0
            ? Unknown(command, parse.UnmatchedTokens[0])
            : parse.Errors[0].Message.TrimEnd('.');
        string name = command is RootCommand ? "dvp" : $"dvp {command.Name}";
        return $"{problem}; see {name} --help.";
    }

    private static string Unknown(Command command, string token)
    {
        bool option = token.StartsWith('-');
        IEnumerable<string> known = option
            ? command.Options.Concat(command.Parents.OfType<Command>().SelectMany(p => p.Options.Where(o => o.Recursive)))
                .Select(o => o.Name)
            : command.Subcommands.Select(c => c.Name);
        string? near = known.Select(k => (Name: k, Distance: Distance(k, token))).Where(k => k.Distance <= 2)
            .OrderBy(k => k.Distance).Select(k => k.Name).FirstOrDefault();
        string kind = option ? "flag" : command.Subcommands.Count > 0 ? "command" : "argument";
        return $"Unknown {kind} {token}{(near is null ? "" : $" (did you mean {near}?)")}";
    }

    /// <summary>Edits (insert, delete, replace) between two words.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int edit = Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                (diagonal, row[j]) = (row[j], edit);
            }
        }

        return row[b.Length];
    }
}
