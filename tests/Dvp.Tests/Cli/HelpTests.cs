using System.CommandLine;
using Dvp.Cli;
using Dvp.Engine;
using Xunit;

namespace Dvp.Tests.Cli;

public sealed class HelpTests
{
    public static TheoryData<string> CommandNames => [.. Tool.Commands().Subcommands.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(CommandNames))]
    public void Help_of_a_command_names_every_option_and_has_an_example(string name)
    {
        ToolRun help = Tool.Run(name, "--help");
        Command command = Tool.Commands().Subcommands.Single(c => c.Name == name);
        Assert.Equal(0, help.Code);
        Assert.Equal("", help.Error);
        Assert.Contains(command.Description!.Split(' ')[0], help.Out);
        foreach (Option option in command.Options)
        {
            Assert.Contains(option.Name, help.Out);
            Assert.False(string.IsNullOrWhiteSpace(option.Description), $"{name} {option.Name} has no description.");
        }

        foreach (Argument argument in command.Arguments)
        {
            Assert.Contains(argument.Name, help.Out);
            Assert.False(string.IsNullOrWhiteSpace(argument.Description), $"{name} {argument.Name} has no description.");
        }

        Assert.Contains("Examples:", help.Out);
        string[] examples = [.. help.Out.Split("Examples:")[1].Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0)];
        Assert.NotEmpty(examples);
        Assert.All(examples, e => Assert.Contains($"dvp {name}", e));
    }

    [Theory]
    [MemberData(nameof(CommandNames))]
    public void Examples_of_a_command_parse(string name)
    {
        DvpCommand command = Assert.IsType<DvpCommand>(Tool.Commands().Subcommands.Single(c => c.Name == name));
        foreach (string example in command.Examples)
        {
            CommandLines.AssertParses(example);
        }
    }

    [Theory]
    [MemberData(nameof(CommandNames))]
    public void Options_that_may_be_left_out_say_what_then_holds(string name)
    {
        Command command = Tool.Commands().Subcommands.Single(c => c.Name == name);
        foreach (Option option in command.Options.Where(o => !o.Required && o.Name != "--help"))
        {
            Assert.True(option.Description!.Contains("Default", StringComparison.Ordinal), $"{name} {option.Name}: {option.Description}");
        }
    }

    [Fact]
    public void Help_of_the_tool_lists_all_commands_and_exit_codes()
    {
        ToolRun help = Tool.Run("--help");
        Assert.Equal(0, help.Code);
        Assert.Contains("dvp [command]", help.Out);
        const string Names = "quickstart search train eval predict features forward diff tokenize preprocess flops bench kernels inspect doctor";
        foreach (string name in Names.Split(' ').Append("completion"))
        {
            Assert.Contains($"\n  {name}", help.Out);
        }

        foreach (DvpExitCode code in Enum.GetValues<DvpExitCode>())
        {
            Assert.Contains($"\n  {(int)code} ", help.Out);
        }

        Assert.Contains($"\n  {Errors.Internal} ", help.Out);
    }

    [Fact]
    public void Without_a_command_the_tool_prints_its_help()
    {
        ToolRun run = Tool.Run();
        Assert.Equal(0, run.Code);
        Assert.Equal(Tool.Run("--help").Out, run.Out);
    }

    [Fact]
    public void The_version_is_one_line()
    {
        ToolRun run = Tool.Run("--version");
        Assert.Equal(0, run.Code);
        Assert.Matches(@"^\d+\.\d+\.\d+\S*\n$", run.Out);
    }

    [Theory]
    [InlineData("[suggest:2]", "di", "diff")]
    [InlineData("[suggest:10]", "flops --be", "--bert-base")]
    [InlineData("[suggest:17]", "forward --device ", "cuda")]
    [InlineData("[suggest:12]", "completion b", "bash")]
    public void Completion_suggests_commands_flags_and_values(string directive, string line, string expected)
    {
        ToolRun run = Tool.Run(directive, line);
        Assert.Equal(0, run.Code);
        Assert.Contains(expected, run.Out.Split('\n'));
    }

    [Theory]
    [InlineData("bash", "complete -o default -F _dvp_complete dvp")]
    [InlineData("zsh", "compdef _dvp_complete dvp")]
    [InlineData("fish", "complete -c dvp")]
    public void Completion_scripts_ask_the_tool(string shell, string expected)
    {
        ToolRun run = Tool.Run("completion", shell);
        Assert.Equal(0, run.Code);
        Assert.Contains(expected, run.Out);
        Assert.Contains("[suggest:", run.Out);
    }
}
