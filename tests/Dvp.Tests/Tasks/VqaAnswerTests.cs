using System.Text.Json;
using Dvp.Tasks.Vqa;
using Xunit;

namespace Dvp.Tests.Tasks;

/// <summary>Answer processing and the accuracies, against the official evaluation code's results.</summary>
public class VqaAnswerTests
{
    [Theory]
    [InlineData("punctuation")]
    [InlineData("official")]
    [InlineData("vocabulary")]
    public void Normalisation_equals_the_official_code(string field)
    {
        int cases = 0;
        foreach (JsonElement c in Lines("metrics/vqa-normalization.jsonl"))
        {
            string text = c.GetProperty("text").GetString()!;
            string actual = field switch
            {
                "punctuation" => AnswerNormalizer.Punctuation(text),
                "official" => AnswerNormalizer.Official(text),
                _ => AnswerNormalizer.Vocabulary(text),
            };
            string expected = c.GetProperty(field).GetString()!;
            Assert.True(expected == actual, $"{c.GetProperty("id")} {field}: '{text}' gave '{actual}', expected '{expected}'");
            cases++;
        }

        Assert.Equal(241, cases);
    }

    [Fact]
    public void Accuracy_equals_the_official_code_and_lavis()
    {
        int cases = 0;
        foreach (JsonElement c in Lines("metrics/vqa-accuracy.jsonl"))
        {
            string id = c.GetProperty("id").GetString()!;
            string[] answers = [.. c.GetProperty("answers").EnumerateArray().Select(a => a.GetString()!)];
            string prediction = c.GetProperty("prediction").GetString()!;
            Close(c.GetProperty("official").GetDouble(), VqaAccuracy.Official(answers, prediction), id + " official");
            Close(c.GetProperty("lavis").GetDouble(), VqaAccuracy.Lavis(answers, prediction), id + " lavis");
            Close(c.GetProperty("official_percent").GetDouble(), Math.Round(100 * VqaAccuracy.Official(answers, prediction), 2), id);
            foreach (JsonProperty target in c.GetProperty("soft_targets").EnumerateObject())
            {
                Assert.Equal(target.Value.GetSingle(), VqaAccuracy.SoftTarget(answers.Count(a => a == target.Name)));
            }

            cases++;
        }

        Assert.Equal(112, cases);

        static void Close(double expected, double actual, string what) =>
            Assert.True(Math.Abs(expected - actual) <= 1e-12, $"{what}: {actual}, expected {expected}");
    }

    [Theory]
    [InlineData("\u0130stanbul", "i\u0307stanbul")] // Unicode's full lower case, two characters
    [InlineData("\u039F\u03A3 \u03A3\u039F\u03A3", "\u03BF\u03C2 \u03C3\u03BF\u03C2")] // a sigma at the end of a word
    [InlineData("1\uD835\uDFCE,\uD835\uDFCE- x", "1\uD835\uDFCE\uD835\uDFCE x")] // digits outside the basic plane
    [InlineData("x\u001Fthe\u0085y", "x y")] // blanks that are not spaces
    public void Unicode_follows_the_published_codes_language(string text, string expected) =>
        Assert.Equal(expected, AnswerNormalizer.Official(text));

    private static IEnumerable<JsonElement> Lines(string file) =>
        File.ReadLines(Fixtures.Path(file)).Select(l => JsonDocument.Parse(l).RootElement);
}
