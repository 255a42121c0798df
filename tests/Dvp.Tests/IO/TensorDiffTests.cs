using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class TensorDiffTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_equals_itself_and_a_changed_element_is_found()
    {
        string folder = Fixtures.Path("dvp-bert/adapter-snli-k1");
        string expected = Path.Combine(folder, "expected.safetensors");
        CompareRules rules = CompareRules.Load(folder);
        Assert.Equal(1, rules.InsertionLayer);
        TensorDiffReport same = TensorDiff.Compare(expected, expected, rules);
        Assert.True(same.Passed, same.ToString());
        Assert.All(same.Tensors, t => Assert.Equal(0, t.MaxAbsolute));

        TensorArchive changed = TensorArchive.Load(expected);
        float[] state = changed.Floats("hidden_states.2");
        float largest = state.Max(MathF.Abs);
        state[^2] += 0.01f * largest;
        changed.Floats("logits")[0] += 1;
        changed.Save(_folder["changed"]);
        TensorDiffReport report = TensorDiff.Compare(_folder["changed"], expected, rules);
        Assert.False(report.Passed);
        Assert.Equal("hidden_states.2", report.First!.Name);
        Assert.Equal(1, report.First.CountOver);
        int[] shape = changed.ShapeOf("hidden_states.2").ToArray();
        Assert.Equal([shape[0] - 1, shape[1] - 1, shape[2] - 2], report.First.FirstOver!);
        Assert.Equal(0.01, report.First.RelativeToMax, 1e-4);
        Assert.Equal(2, report.Tensors.Count(t => t.IsFailure));
        Assert.Contains("hidden_states.2: 1 of", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_order_is_that_of_execution()
    {
        string expected = Path.Combine(Fixtures.Path("dvp-bert/adapter-snli-k1"), "expected.safetensors");
        TensorDiffReport report = TensorDiff.Compare(expected, expected, CompareRules.Uniform(0, 0));
        string[] names = [.. report.Tensors.Select(t => t.Name)];
        string[] states = [.. names.TakeWhile(n => !n.StartsWith("gradients", StringComparison.Ordinal))];
        string[] above = [.. states.Where(n => n.StartsWith("hidden_states", StringComparison.Ordinal)).Skip(2)];
        string[] prompt = ["prompt_attention", "prompt", "inserted"];
        Assert.Equal(["hidden_states.0", "hidden_states.1", .. prompt, .. above, "output_state", "logits", "loss"], states);
        Assert.StartsWith("gradients.head.", names[states.Length], StringComparison.Ordinal);
        Assert.All(names[states.Length..], n => Assert.StartsWith("gradients.", n, StringComparison.Ordinal));
        Assert.True(Array.IndexOf(names, "gradients.adapters.4.down.weight") < Array.IndexOf(names, "gradients.adapters.1.down.weight"));
    }

    [Fact]
    public void Numbers_in_names_count_by_value()
    {
        string[] names =
            ["hidden_states.10", "hidden_states.2", "logits", "embeddings", "gradients.x", "loss", "x.layer.11.w", "x.layer.2.w"];
        Assert.Equal(["embeddings", "hidden_states.2", "hidden_states.10", "x.layer.2.w", "x.layer.11.w", "logits", "loss", "gradients.x"],
            names.Order(new ExecutionOrder(null)));
    }

    [Fact]
    public void Missing_mis_shaped_and_unruled_tensors_fail_and_extra_ones_do_not()
    {
        TensorArchive a = new("A");
        TensorArchive b = new("B");
        a.Add("extra", [1f], 1);
        b.Add("missing", [1f], 1);
        a.Add("shape", [1f, 2f], 2);
        b.Add("shape", [1f, 2f], 1, 2);
        a.Add("skipped", [1f], 1);
        b.Add("skipped", [2f], 1);
        a.Add("unruled", [1f], 1);
        b.Add("unruled", [1f], 1);
        CompareRules rules = CompareRulesTests.Parse("""{"missing": {"rtol": 1}, "shape": {"rtol": 1}, "skipped": {"skip": "because"}}""");
        Dictionary<string, TensorDifference> found = TensorDiff.Compare(a, b, rules).Tensors.ToDictionary(t => t.Name);
        Assert.Equal(DifferenceKind.Extra, found["extra"].Kind);
        Assert.Equal(DifferenceKind.Missing, found["missing"].Kind);
        Assert.Equal("shape: shape (2), expected (1, 2)", found["shape"].ToString());
        Assert.Equal("skipped: not compared: because", found["skipped"].ToString());
        Assert.Equal(DifferenceKind.NoRule, found["unruled"].Kind);
        Assert.Equal(3, found.Values.Count(t => t.IsFailure));
    }

    [Theory]
    [InlineData(0, 0.1, RelativeTo.Max, 0.99, false)] // 0.1 * 10 = 1 allowed
    [InlineData(0, 0.1, RelativeTo.Max, 1.01, true)]
    [InlineData(0, 0.1, RelativeTo.Absolute, 0.099, false)]
    [InlineData(0, 0.1, RelativeTo.Absolute, 0.101, true)]
    [InlineData(0.1, 0.1, RelativeTo.Element, 0.29, false)] // 0.1 + 0.1 * 2 = 0.3
    [InlineData(0.1, 0.1, RelativeTo.Element, 0.31, true)]
    public void Tolerances_are_as_stated(double relative, double absolute, RelativeTo unit, double error, bool over)
    {
        CompareRule rule = CompareRules.Uniform(relative, absolute, unit).Find("x")!;
        TensorDifference d = TensorDiff.CompareValues("x", [2 + error, -10], [2, -10], [2], rule);
        Assert.Equal(over, d.IsFailure);
        Assert.Equal(error, d.MaxAbsolute, 1e-12);
    }

    [Theory]
    [InlineData(double.NaN, double.NaN, false)]
    [InlineData(double.NaN, 1, true)]
    [InlineData(1, double.NaN, true)]
    [InlineData(double.PositiveInfinity, double.PositiveInfinity, false)]
    [InlineData(double.NegativeInfinity, double.PositiveInfinity, true)]
    [InlineData(1, double.PositiveInfinity, true)]
    [InlineData(double.PositiveInfinity, 1, true)]
    public void Values_that_are_no_numbers_equal_only_themselves(double actual, double expected, bool over)
    {
        CompareRule rule = CompareRules.Uniform(1, 1).Find("x")!;
        Assert.Equal(over, TensorDiff.CompareValues("x", [actual, 5], [expected, 5], [2], rule).IsFailure);
    }

    [Fact]
    public void Integers_are_compared_exactly_beyond_doubles()
    {
        TensorArchive a = new();
        TensorArchive b = new();
        a.Add("ids", [(1L << 53) + 1, 3], 2);
        b.Add("ids", [1L << 53, 3], 2);
        TensorDifference d = TensorDiff.Compare(a, b, CompareRules.Uniform(1, 1)).First!;
        Assert.Equal([0], d.FirstOver!);
        Assert.Equal(1, d.CountOver);
    }

    [Fact]
    public void Pictures_are_compared_by_largest_and_mean_difference()
    {
        TensorArchive a = new();
        TensorArchive b = new();
        a.Add("decoded", [0, 0, 0, 9, 9, 9, 50, 50, 50, 50, 50, 50], 1, 4, 3);
        b.Add("decoded", new byte[12], 1, 4, 3);
        CompareRules rules = CompareRulesTests.Parse(
            """{"*": {"max_abs": 9, "mean_abs": 99, "max_abs_in_the_two_right_hand_columns": 50}}""");
        CompareRule rule = rules.Find("decoded")!;
        Assert.False(TensorDiff.CompareOne("decoded", a, b, rule).IsFailure);
        Assert.True(TensorDiff.CompareOne("decoded", a, b, rule with { LargestDifference = 8 }).IsFailure);
        Assert.True(TensorDiff.CompareOne("decoded", a, b, rule with { LargestDifferenceInLastColumns = 49 }).IsFailure);
        TensorDifference mean = TensorDiff.CompareOne("decoded", a, b, rule with { MeanDifference = 20 });
        Assert.True(mean.IsFailure);
        Assert.Equal(327.0 / 12, mean.MeanAbsolute, 1e-12);
        Assert.Contains("decoded: over tolerance", mean.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void One_of_several_expected_tensors_is_enough()
    {
        TensorArchive a = new();
        TensorArchive b = new();
        a.Add("decoded", [1f, 2f], 2);
        b.Add("decoded", [3f, 4f], 2);
        b.Add("other", [1f, 2f], 2);
        CompareRules rules = CompareRulesTests.Parse("""{"decoded": "exact against decoded (first) or other"}""");
        Assert.True(TensorDiff.Compare(a, b, rules).Passed);
        a.Floats("decoded")[0] = 9;
        Assert.False(TensorDiff.Compare(a, b, rules).Passed);
    }

    [Fact]
    public void A_gradient_that_should_be_zero_is_measured_by_another()
    {
        TensorArchive a = new();
        TensorArchive b = new();
        a.Add("gradients.linear_k.bias", [2e-4f], 1);
        b.Add("gradients.linear_k.bias", [0f], 1);
        b.Add("gradients.linear_q.bias", [-30f], 1);
        a.Add("gradients.linear_q.bias", [-30f], 1);
        CompareRules rules = CompareRulesTests.Parse("""
            {"*": {"rtol": 1e-5,
                   "linear_k.bias": "exact gradient is zero: |g| <= 1e-5 * max|gradients.linear_q.bias|, or 1e-5 where that too is zero"}}
            """);
        Assert.True(TensorDiff.Compare(a, b, rules).Passed);
        a.Floats("gradients.linear_k.bias")[0] = 4e-4f;
        Assert.False(TensorDiff.Compare(a, b, rules).Passed);
        a.Floats("gradients.linear_k.bias")[0] = 1e-6f;
        a.Floats("gradients.linear_q.bias")[0] = 0;
        b.Floats("gradients.linear_q.bias")[0] = 0;
        Assert.True(TensorDiff.Compare(a, b, rules).Passed);
    }

    [Fact]
    public void Types_may_differ_when_the_values_agree()
    {
        TensorArchive a = new();
        TensorArchive b = new();
        a.Add("x", ElementType.BF16, [1.5f], 1);
        b.Add("x", [1.5], 1);
        Assert.True(TensorDiff.Compare(a, b, CompareRules.Uniform(0, 0)).Passed);
    }
}
