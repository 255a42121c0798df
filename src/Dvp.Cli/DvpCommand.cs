using System.CommandLine;

namespace Dvp.Cli;

/// <summary>A command of the tool: its help has examples, and its errors end as <see cref="Errors"/> says.</summary>
internal sealed class DvpCommand : Command
{
    private readonly CliHost _host;

    /// <summary>Makes a command.</summary>
    /// <param name="host">The surroundings.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="description">What it does: the first sentence stands in the list of commands.</param>
    /// <param name="examples">Command lines, each a complete one.</param>
    public DvpCommand(CliHost host, string name, string description, params string[] examples)
        : base(name, description)
    {
        _host = host;
        Examples = examples;
    }

    /// <summary>Command lines that help shows.</summary>
    public IReadOnlyList<string> Examples { get; }

    /// <summary>Adds an option and returns it.</summary>
    public T With<T>(T option)
        where T : Option
    {
        Add(option);
        return option;
    }

    /// <summary>Adds an argument and returns it.</summary>
    public Argument<string> Argument(string name, string help)
    {
        Argument<string> argument = new(name) { Description = help };
        Add(argument);
        return argument;
    }

    /// <summary>Says what the command does; what it throws is printed as an error.</summary>
    /// <param name="run">Returns the exit code.</param>
    public DvpCommand Runs(Func<ParseResult, CommandOutput, int> run)
    {
        SetAction(parse =>
        {
            CommandOutput output = new(_host, parse);
            try
            {
                return run(parse, output);
            }
            catch (Exception e)
            {
                output.EndProgress();
                return Errors.Report(_host, parse, e);
            }
        });
        return this;
    }
}
