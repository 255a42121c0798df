using Dvp.Cli;
using Xunit;

namespace Dvp.Tests.Cli;

public sealed class OutputTests
{
    private static readonly string[] s_flops = ["flops", "--layer", "3"];

    [Fact]
    public void Tables_are_drawn_on_a_terminal_and_plain_elsewhere()
    {
        using StringWriter terminal = new();
        Assert.Equal(0, Program.Run(s_flops, terminal, TextWriter.Null, terminal: true));
        Assert.Contains('╭', terminal.ToString());
        string plain = Tool.Run(s_flops).Out;
        Assert.DoesNotContain('╭', plain);
        Assert.DoesNotContain('\x1b', plain);
        Assert.All(plain.Split('\n'), line => Assert.Equal(line.TrimEnd(), line));
    }

    [Fact]
    public void No_color_is_honoured()
    {
        string? before = Environment.GetEnvironmentVariable("NO_COLOR");
        try
        {
            Environment.SetEnvironmentVariable("NO_COLOR", "1");
            Assert.False(new CliHost(TextWriter.Null, TextWriter.Null, Terminal: true).Colour);
            Environment.SetEnvironmentVariable("NO_COLOR", "");
            Assert.True(new CliHost(TextWriter.Null, TextWriter.Null, Terminal: true).Colour);
            Assert.False(new CliHost(TextWriter.Null, TextWriter.Null, Terminal: false).Colour);
        }
        finally
        {
            Environment.SetEnvironmentVariable("NO_COLOR", before);
        }
    }

    [Fact]
    public void Progress_overwrites_its_line_on_a_terminal_and_keeps_important_ones()
    {
        using StringWriter terminal = new();
        ProgressLine line = new(terminal, overwrite: true);
        line.Show("one", important: false);
        line.Show("two", important: true);
        line.Show("three", important: false);
        line.End();
        line.End();
        Assert.Equal("\rone\x1b[K\rtwo\x1b[K\n\rthree\x1b[K\n", terminal.ToString());
    }

    [Fact]
    public void Progress_elsewhere_is_a_line_at_intervals()
    {
        using StringWriter plain = new();
        ProgressLine line = new(plain, overwrite: false);
        line.Show("one", important: false);
        line.Show("two", important: false);
        line.Show("three", important: true);
        line.End();
        Assert.Equal("one\nthree\n", plain.ToString());
    }

    [Fact]
    public void A_table_sets_numbers_to_the_right()
    {
        TextTable table = new TextTable("name", ">value").Title("Sizes").Row("a", "1").Row("long name", "1,000");
        Assert.Equal("Sizes\nname       value\na              1\nlong name  1,000\n", table.ToText());
        Assert.Throws<ArgumentException>(() => table.Row("one cell"));
    }
}
