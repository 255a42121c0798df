using System.Text.RegularExpressions;
using Xunit;

namespace Dvp.Tests;

public sealed partial class RequirementTests
{
    [Fact]
    public void A_demand_is_read_and_a_misspelt_one_is_refused()
    {
        Assert.Equal(["kernel-host", "nvrtc"], Machine.ParseDemand(" nvrtc, kernel-host,").Order(StringComparer.Ordinal));
        Assert.Empty(Machine.ParseDemand(null));
        ArgumentException error = Assert.Throws<ArgumentException>(() => Machine.ParseDemand("nvrtc,kernelhost"));
        Assert.Contains("kernelhost", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_demand_is_met()
    {
        string[] unmet = [.. Enum.GetValues<Capability>()
            .Where(c => c != Capability.None && Machine.Demanded.Contains(Machine.NameOf(c)) && Machine.Missing(c) is not null)
            .Select(c => $"{Machine.NameOf(c)}: {Machine.Missing(c)}")];
        Assert.Empty(unmet);
    }

    [Fact]
    public void Nothing_but_the_attribute_skips_a_test()
    {
        string tests = Path.Combine(Fixtures.RepositoryRoot, "tests", "Dvp.Tests");
        string[] skipping = [.. Directory.GetFiles(tests, "*.cs", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(tests, f))
            .Where(f => !f.StartsWith("bin", StringComparison.Ordinal) && !f.StartsWith("obj", StringComparison.Ordinal))
            .Where(f => Skipping().IsMatch(File.ReadAllText(Path.Combine(tests, f))))];
        Assert.Equal([Path.Combine("Requirements", "RequiresAttribute.cs")], skipping);
    }

    // In two parts, so that the pattern does not find itself.
    [GeneratedRegex(
        @"Assert\." + @"Skip(Unless|When)?\(|\bSkip" + @"(Unless|When|Type)?\s*=\s*[""n$@t]|Skip" + "Exception|XunitDynamic" + "Skip")]
    private static partial Regex Skipping();
}
