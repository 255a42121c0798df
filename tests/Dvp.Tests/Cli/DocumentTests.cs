using System.Text.RegularExpressions;
using Dvp.Settings;
using Xunit;

namespace Dvp.Tests.Cli;

public sealed partial class DocumentTests
{
    private static string Readme => File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, "README.md"));

    [Fact]
    public void Commands_of_the_readme_parse()
    {
        string[] lines = [.. CommandLines.InDocument(Readme)];
        Assert.NotEmpty(lines);
        Assert.All(lines, CommandLines.AssertParses);
    }

    [Fact]
    public void Commands_of_the_docs_parse()
    {
        string folder = Path.Combine(Fixtures.RepositoryRoot, "docs");
        foreach (string file in Directory.Exists(folder) ? Directory.GetFiles(folder, "*.md") : [])
        {
            Assert.All(CommandLines.InDocument(File.ReadAllText(file)), CommandLines.AssertParses);
        }
    }

    [Fact]
    public void The_readme_has_the_table_of_variables() => Assert.Contains(DvpEnvironment.ToMarkdown(), Readme.ReplaceLineEndings("\n"));

    [Fact]
    public void No_other_source_file_reads_a_variable()
    {
        string folder = Path.Combine(Fixtures.RepositoryRoot, "src");
        HashSet<string> known = [.. DvpEnvironment.All.Select(s => s.Name)];
        foreach (string file in Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal)))
        {
            string text = File.ReadAllText(file);
            foreach (Match match in Variable().Matches(text))
            {
                Assert.True(known.Contains(match.Value), $"{file} names {match.Value}, which DvpEnvironment does not have.");
            }

            bool reads = text.Contains("GetEnvironmentVariable", StringComparison.Ordinal);
            string name = Path.GetFileName(file);
            Assert.False(reads && name is not ("DvpEnvironment.cs" or "Doctor.cs" or "CliHost.cs"), $"{file} reads the environment.");
        }
    }

    [Fact]
    public void Every_variable_is_read_in_one_place()
    {
        string text = File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, "src", "Dvp", "Settings", "DvpEnvironment.cs"));
        foreach (EnvironmentSetting setting in DvpEnvironment.All)
        {
            Assert.Single(Regex.Matches(text, $"\"{setting.Name}\""));
            Assert.False(string.IsNullOrWhiteSpace(setting.Meaning) || string.IsNullOrWhiteSpace(setting.Absent), setting.Name);
        }
    }

    [GeneratedRegex(@"\bDVP_[A-Z][A-Z_]*")]
    private static partial Regex Variable();
}
