using System.Text;
using Dvp.Models.Tokenizers;
using Dvp.Tests.Tasks;
using Xunit;

namespace Dvp.Tests.Models;

/// <summary>Damaged vocabularies, options that cannot be met, texts that are hard to read.</summary>
public class TokenizerErrorTests
{
    private const string Small = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\n##c\n,\né\ne\ni\n##\u0307\nx\n";

    private static BertTokenizer Load(string vocabulary, string? config = null)
    {
        using TemporaryFolder folder = new();
        folder.Write("vocab.txt", vocabulary);
        if (config is not null)
        {
            folder.Write("tokenizer_config.json", config);
        }

        return BertTokenizer.Load(folder.Path);
    }

    [Fact]
    public void A_missing_folder_or_vocabulary_is_named()
    {
        using TemporaryFolder folder = new();
        Errors.Contains(() => BertTokenizer.Load("/nowhere/model"), "/nowhere/model");
        Errors.Contains(() => BertTokenizer.Load(folder.Path), folder.Path, "vocab.txt", "tokenizer.json");
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("[PAD]\n[UNK]\n\n[CLS]\n", "line 3")]
    [InlineData("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\na\n", "'a' twice")]
    [InlineData("[PAD]\n[CLS]\n[SEP]\na\n", "[UNK]")]
    [InlineData("[UNK]\n[CLS]\n[SEP]\na\n", "[PAD]")]
    [InlineData("[PAD]\n[UNK]\na\n", "[CLS]")]
    public void Damaged_vocabularies_are_refused(string text, string part) =>
        Errors.Contains(() => Load(text), "vocab.txt", part);

    [Fact]
    public void A_vocabulary_that_is_not_text_is_refused()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder.File("vocab.txt"), [.. Encoding.ASCII.GetBytes("[PAD]\n[UNK]\n"), 0xFF, 0xFE, 0x80, 10]);
        Errors.Contains(() => BertTokenizer.Load(folder.Path), "vocab.txt", "UTF-8");
    }

    [Theory]
    [InlineData("tokenizer_config.json", "{")]
    [InlineData("tokenizer_config.json", """{"do_lower_case": "yes"}""")]
    public void Damaged_settings_are_refused(string file, string json)
    {
        using TemporaryFolder folder = new();
        folder.Write("vocab.txt", Small);
        folder.Write(file, json);
        Errors.Contains(() => BertTokenizer.Load(folder.Path), file);
    }

    [Theory]
    [InlineData("""{"model": {"type": "BPE", "vocab": {}}}""", "WordPiece")]
    [InlineData("""{"model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 2}}}""", "id 1")]
    [InlineData("""{"pre_tokenizer": {"type": "Whitespace"}, "model": {"vocab": {}}}""", "BertPreTokenizer")]
    [InlineData("""{"model": {}}""", "tokenizer.json")]
    [InlineData("[]", "tokenizer.json")]
    public void Damaged_tokenizer_json_is_refused(string json, string part)
    {
        using TemporaryFolder folder = new();
        folder.Write("tokenizer.json", json);
        Errors.Contains(() => BertTokenizer.Load(folder.Path), "tokenizer.json", part);
    }

    [Fact]
    public void Lines_may_end_as_on_windows() =>
        Assert.Equal(["[CLS]", "a", "[SEP]"], Load(Small.Replace("\n", "\r\n", StringComparison.Ordinal)).Encode("a").Tokens);

    [Fact]
    public void Cased_models_keep_case_and_accents()
    {
        BertTokenizer cased = Load(Small, """{"do_lower_case": false}""");
        Assert.Equal(["é", "[UNK]", "a"], cased.Encode("é A a").Tokens[1..^1]);
        BertTokenizer accents = Load(Small, """{"do_lower_case": true, "strip_accents": false}""");
        Assert.Equal(["é", "a", "i", "##\u0307"], accents.Encode("É A İ").Tokens[1..^1]);
        Assert.Equal(new TokenOffsets(4, 5), accents.Encode("É A İ").Offsets[4]);
    }

    [Fact]
    public void Words_beyond_the_limit_are_unknown()
    {
        BertTokenizer tokenizer = Load(Small);
        TokenEncoding fits = tokenizer.Encode("a" + new string('b', 99));
        TokenEncoding tooLong = tokenizer.Encode("a" + new string('b', 100) + " a");

        Assert.Equal(102, fits.Length);
        Assert.Equal(["[CLS]", "[UNK]", "a", "[SEP]"], tooLong.Tokens);
        Assert.Equal(new TokenOffsets(0, 101), tooLong.Offsets[1]);
    }

    [Fact]
    public void Half_a_surrogate_pair_is_dropped_like_other_broken_text() =>
        Assert.Equal(["a", "b"], Load(Small).Encode("a\uD83D b").Tokens[1..^1]);

    [Fact]
    public void Offsets_count_code_points()
    {
        TokenEncoding encoding = Load(Small).Encode("😀 a 😀b");
        Assert.Equal([new(0, 0), new(0, 1), new(2, 3), new(4, 6), new(0, 0)], encoding.Offsets);
    }

    [Fact]
    public void Options_that_cannot_be_met_are_refused()
    {
        BertTokenizer tokenizer = Load(Small);
        EncodeOptions cut = new() { Truncation = TruncationMode.LongestFirst };
        EncodeOptions first = new() { Truncation = TruncationMode.OnlyFirst, MaxLength = 4 };
        EncodeOptions second = new() { Truncation = TruncationMode.OnlySecond, MaxLength = 4 };
        Errors.Contains(() => tokenizer.Encode("a", options: cut), "max_length");
        Errors.Contains(() => tokenizer.Encode("a", options: cut with { MaxLength = 1 }), "special tokens");
        Errors.Contains(() => tokenizer.Encode("a", "b b b", first), "first text");
        Errors.Contains(() => tokenizer.Encode("a b b", null, second), "second text");
        Errors.Contains(() => tokenizer.Encode("a", options: new EncodeOptions { Padding = PaddingMode.MaxLength }), "max_length");
        Errors.Contains(() => tokenizer.EncodeBatch(["a", "b"], ["a"]), "2 texts and 1");
        Errors.Contains(() => tokenizer.Decode([5, 99]), "99");
        Errors.Contains(() => tokenizer.Decode([-1]), "-1");
    }

    [Fact]
    public void The_models_own_length_serves_where_none_is_given()
    {
        BertTokenizer tokenizer = Load(Small, """{"model_max_length": 4}""");
        EncodeOptions options = new() { Truncation = TruncationMode.LongestFirst, Padding = PaddingMode.MaxLength };

        Assert.Equal(["[CLS]", "a", "b", "[SEP]"], tokenizer.Encode("a b b b", options: options).Tokens);
        Assert.Equal(["[CLS]", "a", "[SEP]", "[PAD]"], tokenizer.Encode("a", options: options).Tokens);
        Assert.Null(Load(Small, """{"model_max_length": 1000000000000000019884624838656}""").ModelMaxLength);
    }

    [Theory]
    [InlineData("not json", "line 2")]
    [InlineData("""{"id": 1}""", "line 2")]
    [InlineData("""{"text": 5}""", "line 2")]
    [InlineData("""{"text": "a", "options": {"padding": "sideways"}}""", "sideways")]
    [InlineData("""{"text": "a", "options": {"stride": 1}}""", "stride")]
    [InlineData("""{"text": "a", "options": {"truncation": true}}""", "max_length")]
    [InlineData("""{"text": "\ud83d"}""", "line 2")]
    public void Bad_lines_are_named_and_nothing_is_written(string line, string part)
    {
        using TemporaryFolder folder = new();
        string input = folder.Write("cases.jsonl", """{"text": "a"}""" + "\n" + line + "\n");
        string output = folder.File("out.jsonl");
        Errors.Contains(() => TokenizeCases.Run(Load(Small), input, output), "cases.jsonl", part);
        Assert.False(File.Exists(output));
    }

    [Fact]
    public void Batches_of_pairs_are_written_as_lists()
    {
        using TemporaryFolder folder = new();
        string input = folder.Write("cases.jsonl", """{"text": ["a", "b"], "pair": ["b", "a b"], "options": {"padding": "longest"}}""");
        string output = folder.File("out.jsonl");
        TokenizeCases.Run(Load(Small), input, output);

        const string Expected =
            """{"ids":[[2,5,3,6,3,0],[2,6,3,5,6,3]],"attention_mask":[[1,1,1,1,1,0],[1,1,1,1,1,1]],""" +
            "\"type_ids\":[[0,0,0,1,1,0],[0,0,0,1,1,1]]";
        Assert.StartsWith(Expected, File.ReadAllText(output));
    }
}
