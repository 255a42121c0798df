using System.CommandLine;
using System.CommandLine.Help;
using Dvp.Cli.Commands;

namespace Dvp.Cli;

/// <summary>All commands of the tool.</summary>
internal static class CommandTree
{
    /// <summary>How command lines are read: a word that starts with @ is a word, as questions and file names may.</summary>
    public static ParserConfiguration Parsing { get; } = new() { ResponseFileTokenReplacer = null, EnablePosixBundling = false };

    /// <summary>Builds the commands.</summary>
    public static RootCommand Build(CliHost host)
    {
        RootCommand root = new(
            "Dynamic Visual Prompting: adapts a pre-trained language model to questions about pictures, and measures what that costs.");
        root.HelpName = "dvp";
        root.Add(new Option<bool>(CommonOptions.JsonName)
        {
            Description = "Prints one JSON object at the end on the standard output; progress goes to the error output.",
            Recursive = true,
        });
        root.Add(new Option<bool>(CommonOptions.VerboseName) { Description = "Prints the stack trace of an error.", Recursive = true });
        root.Add(QuickstartCommand.Create(host));
        root.Add(SearchCommand.Create(host));
        root.Add(TrainCommand.Create(host));
        root.Add(EvaluateCommand.Create(host));
        root.Add(PredictCommand.Create(host));
        root.Add(FeaturesCommand.Create(host));
        root.Add(ForwardCommand.Create(host));
        root.Add(DiffCommand.Create(host));
        root.Add(TokenizeCommand.Create(host));
        root.Add(PreprocessCommand.Create(host));
        root.Add(FlopsCommand.Create(host));
        root.Add(BenchCommand.Create(host));
        root.Add(KernelsCommand.Create(host));
        root.Add(InspectCommand.Create(host));
        root.Add(DoctorCommand.Create(host));
        root.Add(CompletionCommand.Create(host));

        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!);
        root.SetAction(parse => help.Action is HelpWithExamples action ? action.Invoke(parse) : 0);
        return root;
    }
}
