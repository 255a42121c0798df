using System.Text.Json;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cli;

public sealed class TokenizeTests
{
    [Fact]
    public void A_file_of_cases_gives_the_golden_ids()
    {
        using TemporaryFolder folder = new();
        string golden = Fixtures.Path("tokenizers/bert-uncased");
        string cases = Path.Combine(golden, "cases.jsonl");
        string output = folder["out.jsonl"];
        ToolRun run = Tool.Run("tokenize", "--model", golden, "--input", cases, "--output", output, "--json");
        Assert.True(run.Code == 0, run.Error);
        string[] expected = File.ReadAllLines(cases);
        string[] actual = File.ReadAllLines(output);
        Assert.Equal(expected.Length, actual.Length);
        Assert.Equal(expected.Length, run.Json.GetProperty("lines").GetInt32());
        for (int i = 0; i < expected.Length; i++)
        {
            using JsonDocument theirs = JsonDocument.Parse(expected[i]);
            using JsonDocument ours = JsonDocument.Parse(actual[i]);
            Assert.Equal(theirs.RootElement.GetProperty("id").GetString(), ours.RootElement.GetProperty("id").GetString());
            string ids = ours.RootElement.GetProperty("ids").GetRawText();
            bool fast = ids == Compact(theirs.RootElement.GetProperty("ids"));
            bool slow = theirs.RootElement.TryGetProperty("slow", out JsonElement other)
                && other.TryGetProperty("ids", out JsonElement slowIds) && ids == Compact(slowIds);
            Assert.True(fast || slow, $"{theirs.RootElement.GetProperty("id").GetString()}: {ids}");
        }
    }

    [Fact]
    public void A_text_and_a_pair_are_printed()
    {
        ToolRun run = Tool.Run("tokenize", "--model", TinyRun.LanguageModel, "--text", "what color is it?", "--pair", "red", "--json");
        Assert.Equal(0, run.Code);
        Assert.Equal(
            ["[CLS]", "what", "color", "is", "it", "?", "[SEP]", "red", "[SEP]"],
            run.Json.GetProperty("tokens").EnumerateArray().Select(t => t.GetString()));
        Assert.Equal([0, 0, 0, 0, 0, 0, 0, 1, 1], run.Json.GetProperty("type_ids").EnumerateArray().Select(t => t.GetInt32()));
        Assert.Contains("[CLS]", Tool.Run("tokenize", "--model", TinyRun.LanguageModel, "--text", "red").Out);
        ToolRun cut = Tool.Run("tokenize", "--model", TinyRun.LanguageModel, "--text", "what color is it?", "--max-length", "4", "--json");
        Assert.Equal(4, cut.Json.GetProperty("ids").GetArrayLength());
    }

    [Theory]
    [InlineData("{\"text\": 3}")]
    [InlineData("{\"id\": \"a\"}")]
    [InlineData("no json")]
    [InlineData("{\"text\": \"a\", \"options\": {\"padding\": \"sideways\"}}")]
    public void A_bad_line_is_named_and_nothing_is_written(string line)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["in.jsonl"], "{\"text\": \"fine\"}\n" + line + "\n");
        Tool.AssertFails(
            2, "line 2", "tokenize", "--model", TinyRun.LanguageModel, "--input", folder["in.jsonl"], "--output", folder["out.jsonl"]);
        Assert.Equal(["in.jsonl"], folder.FileNames);
    }

    private static string Compact(JsonElement value) => JsonSerializer.Serialize(value);
}
