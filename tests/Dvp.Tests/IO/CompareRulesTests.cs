using System.Text;
using Dvp.Engine;
using Dvp.Engine.IO;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class CompareRulesTests
{
    [Theory]
    [InlineData("*", "", true)]
    [InlineData("*", "a.b", true)]
    [InlineData("a*", "a", true)]
    [InlineData("a*c", "abcbc", true)]
    [InlineData("a*c", "abcb", false)]
    [InlineData("gradients.*.key.bias", "gradients.layer.0.key.bias", true)]
    [InlineData("gradients.*.key.bias", "gradients.layer.0.key.bias2", false)]
    [InlineData("*a*b*", "xxaxxbxx", true)]
    [InlineData("ab", "abc", false)]
    [InlineData("", "", true)]
    public void Patterns_fit(string pattern, string name, bool fits) => Assert.Equal(fits, NamePattern.Fits(pattern, name));

    [Fact]
    public void The_most_specific_pattern_wins()
    {
        CompareRules rules = Parse("""
            {"*": {"rtol": 1}, "gradients.*": {"rtol": 2}, "gradients.*.key.bias": {"atol": 3, "relative_to": "absolute", "why": "zero"},
             "gradients.a.key.bias": {"skip": "reason"}, "ids": "exact", "x": {"rtol": 1, "atol": 4, "relative_to": "max"}}
            """);
        Assert.Equal(1, rules.Find("logits")!.RelativeTolerance);
        Assert.Equal(2, rules.Find("gradients.w")!.RelativeTolerance);
        Assert.Equal(3, rules.Find("gradients.b.key.bias")!.AbsoluteTolerance);
        Assert.Equal("zero", rules.Find("gradients.b.key.bias")!.Why);
        Assert.True(rules.Find("gradients.a.key.bias")!.IsSkip);
        Assert.Equal(CompareKind.Exact, rules.Find("ids")!.Kind);
        Assert.Equal(RelativeTo.Max, rules.Find("x")!.RelativeTo);
    }

    [Fact]
    public void The_source_of_a_tensor_chooses_the_rule()
    {
        CompareRules rules = Parse("""
            {"resized.* from `decoded`": "exact", "resized.* from the file": {"max_abs": 5, "mean_abs": 0.45},
             "decoded": "exact against decoded (first) or other"}
            """);
        Assert.Equal(CompareKind.Exact, rules.Find("resized.24", "decoded")!.Kind);
        Assert.Equal(5, rules.Find("resized.24", "the file")!.LargestDifference);
        Assert.Equal(0.45, rules.Find("resized.24")!.MeanDifference);
        Assert.Null(rules.Find("resized.24", "elsewhere"));
        Assert.Equal(["decoded", "other"], rules.Find("decoded")!.Alternatives);
        Assert.Null(rules.Find("unknown"));
    }

    [Fact]
    public void A_rule_inside_a_rule_is_for_a_tensor_that_should_be_zero()
    {
        CompareRules rules = Parse("""
            {"*": {"rtol": 1e-5, "atol": 1e-5, "relative_to": "max",
                   "linear_k.bias": "exact gradient is zero: |g| <= 1e-5 * max|gradients.linear_q.bias|, or 1e-5 where that too is zero"}}
            """);
        CompareRule rule = rules.Find("gradients.linear_k.bias")!;
        Assert.Equal("gradients.linear_q.bias", rule.ScaleOf);
        Assert.Equal(1e-5, rule.AbsoluteTolerance);
        Assert.Null(rules.Find("gradients.linear_q.bias")!.ScaleOf);
    }

    [Theory]
    [InlineData("""{"a": {"rtol": 1, "unknown": 3}}""", "unknown part \"unknown\"")]
    [InlineData("""{"a": "roughly"}""", "is not understood: \"roughly\"")]
    [InlineData("""{"a": {"rtol": "1"}}""", "not a case with rules")]
    [InlineData("""{"a": {"atol": 1, "relative_to": "median"}}""", "relative_to of a is \"median\"")]
    [InlineData("""[1]""", "not a case with rules")]
    public void Unknown_forms_are_refused(string compare, string message) =>
        Expect.Error(message, () => Parse(compare));

    [Fact]
    public void A_missing_file_and_a_case_without_rules_are_errors()
    {
        Assert.Throws<DvpException>(() => CompareRules.Load("/nowhere/case.json"));
        Expect.Error("has no \"compare\"", () => CompareRules.Parse("{}"u8.ToArray(), "case.json"));
    }

    /// <summary>Every rule of every committed case is understood, and fits the tensors of its case.</summary>
    [Fact]
    public void Every_golden_case_has_a_rule_for_each_of_its_tensors()
    {
        int tensors = 0;
        foreach (string zip in Directory.GetFiles(Path.Combine(Fixtures.RepositoryRoot, "tests", "fixtures"), "*.zip"))
        {
            foreach (string name in Fixtures.Cases(Path.GetFileNameWithoutExtension(zip)))
            {
                string folder = Fixtures.Path(name);
                string expected = Path.Combine(folder, "expected.safetensors");
                string text = File.ReadAllText(Path.Combine(folder, "case.json"));
                if (!File.Exists(expected) || !text.Contains("\"compare\"", StringComparison.Ordinal))
                {
                    continue;
                }

                CompareRules rules = CompareRules.Load(folder);
                using SafetensorsFile file = new(expected);
                foreach (string tensor in file.Names)
                {
                    // Of these two the README speaks, not the rules.
                    bool inReadme = tensor.StartsWith("resized_uncropped", StringComparison.Ordinal) || tensor == "decoded_high_byte";
                    CompareRule? rule = rules.Find(tensor) ?? rules.Find(tensor, "decoded") ?? rules.Find(tensor, "resized.24");
                    Assert.True(inReadme || rule is not null, $"{name}: no rule for {tensor}");
                    tensors++;
                }
            }
        }

        Assert.True(tensors > 2000, $"only {tensors} tensors");
    }

    internal static CompareRules Parse(string compare) =>
        CompareRules.Parse(Encoding.UTF8.GetBytes($"{{\"compare\": {compare}}}"), "case.json");
}
