using System.Text.RegularExpressions;
using Xunit;

namespace Dvp.Tests.Docs;

/// <summary>docs/kernels.md: every excerpt stands in the file that it names, word for word.</summary>
public sealed partial class KernelTourTests
{
    [Fact]
    public void Excerpts_are_what_the_files_say()
    {
        string tour = Read("docs/kernels.md");
        MatchCollection excerpts = Excerpt().Matches(tour);
        Assert.Equal(Regex.Count(tour, "```cuda"), excerpts.Count);
        Assert.Equal(
            ["kernels/common/mma_tile.cuh", "kernels/layernorm.cu", "kernels/matmul_mma.cu", "kernels/prompt_attention_mma.cu"],
            excerpts.Select(e => e.Groups["file"].Value).Distinct().Order(StringComparer.Ordinal));
        Assert.All(excerpts, e => Assert.Contains(e.Groups["code"].Value, Read(e.Groups["file"].Value), StringComparison.Ordinal));
    }

    private static string Read(string path) => File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, path)).ReplaceLineEndings("\n");

    [GeneratedRegex(@"<!-- (?<file>\S+) -->\n```cuda\n(?<code>.*?)```", RegexOptions.Singleline)]
    private static partial Regex Excerpt();
}
