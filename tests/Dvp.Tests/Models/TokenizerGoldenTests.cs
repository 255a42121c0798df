using System.Text;
using System.Text.Json;
using Dvp.Models.Tokenizers;
using Xunit;

namespace Dvp.Tests.Models;

/// <summary>Every case of the golden files, through the driver that the command line uses.</summary>
public class TokenizerGoldenTests
{
    private static readonly string s_folder = Fixtures.Path("tokenizers/bert-uncased");
    private static readonly string s_cases = Path.Combine(s_folder, "cases.jsonl");
    private static readonly Lazy<BertTokenizer> s_tokenizer = new(() => BertTokenizer.Load(s_folder));
    private static readonly Lazy<BertTokenizer> s_fromJson = new(LoadFromJson);

    private static readonly string[] s_fields =
    [
        "ids", "attention_mask", "type_ids", "tokens", "offsets", "special_tokens_mask", "decoded", "decoded_with_special_tokens",
        "decoded_cleaned_up",
    ];

    public static TheoryData<string, string> Cases()
    {
        TheoryData<string, string> data = [];
        foreach (string line in File.ReadLines(s_cases))
        {
            using JsonDocument document = JsonDocument.Parse(line);
            data.Add(document.RootElement.GetProperty("id").GetString()!, document.RootElement.GetProperty("kind").GetString()!);
        }

        return data;
    }

    /// <summary>A folder that holds nothing but tokenizer.json.</summary>
    private static BertTokenizer LoadFromJson()
    {
        using Tasks.TemporaryFolder folder = new();
        File.Copy(Path.Combine(s_folder, "tokenizer.json"), folder.File("tokenizer.json"));
        return BertTokenizer.Load(folder.Path);
    }

    [Fact]
    public void All_cases_are_there() => Assert.Equal(162, Cases().Count);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_field_is_equal(string id, string kind) => Check(s_tokenizer.Value, id, kind);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_field_is_equal_from_tokenizer_json(string id, string kind) => Check(s_fromJson.Value, id, kind);

    private static void Check(BertTokenizer tokenizer, string id, string kind)
    {
        string line = File.ReadLines(s_cases).Single(l => l.Contains($"\"{id}\"", StringComparison.Ordinal));
        using JsonDocument expected = JsonDocument.Parse(line);
        using MemoryStream output = new();
        TokenizeCases.RunLine(tokenizer, line, id, output);
        using JsonDocument actual = JsonDocument.Parse(output.ToArray());

        Assert.Equal(kind, actual.RootElement.GetProperty("kind").GetString());
        int compared = 0;
        foreach (string field in s_fields)
        {
            if (expected.RootElement.TryGetProperty(field, out JsonElement value))
            {
                JsonElement found = actual.RootElement.GetProperty(field);
                Assert.True(JsonElement.DeepEquals(value, found),
                    $"{id} {field}:\nexpected {value.GetRawText()}\nactual   {found.GetRawText()}");
                compared++;
            }
        }

        Assert.True(compared >= 6);
    }

    [Fact]
    public void The_file_driver_writes_one_line_a_case()
    {
        using Tasks.TemporaryFolder folder = new();
        string output = folder.File("out.jsonl");
        int count = TokenizeCases.Run(s_tokenizer.Value, s_cases, output);
        string[] ids = [.. File.ReadLines(output).Select(Id)];

        Assert.Equal(162, count);
        Assert.Equal(File.ReadLines(s_cases).Select(Id), ids);

        static string Id(string line)
        {
            using JsonDocument document = JsonDocument.Parse(line);
            return document.RootElement.GetProperty("id").GetString()!;
        }
    }

    /// <summary>The sample's language model against the tokens of another implementation.</summary>
    [Fact]
    public void The_samples_texts_equal_the_reference()
    {
        string samples = Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa");
        BertTokenizer tokenizer = BertTokenizer.Load(Path.Combine(samples, "language-model"));
        using JsonDocument reference = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(samples, "reference.json")));
        using Dvp.Engine.IO.SafetensorsFile arrays = new(Path.Combine(samples, "reference.safetensors"));
        string[] texts = [.. reference.RootElement.GetProperty("texts").EnumerateArray().Select(t => t.GetString()!)];
        TokenEncoding[] encodings = tokenizer.EncodeBatch(texts, options: EncodeOptions.Fixed(16));

        Assert.Equal(5, texts.Length);
        Assert.Equal(arrays.ReadInt64("input_ids"), encodings.SelectMany(e => e.Ids).Select(i => (long)i));
        Assert.Equal(arrays.ReadInt64("attention_mask"), encodings.SelectMany(e => e.AttentionMask).Select(i => (long)i));
        Assert.Equal(reference.RootElement.GetProperty("tokens").EnumerateArray().Select(r => string.Join(' ', r.EnumerateArray())),
            encodings.Select(e => string.Join(' ', e.Tokens)));
        var ids = new int[16];
        var mask = new int[16];
        for (int i = 0; i < texts.Length; i++)
        {
            int count = tokenizer.EncodeFixed(texts[i], ids, mask);
            Assert.Equal(encodings[i].Ids, ids);
            Assert.Equal(encodings[i].AttentionMask, mask);
            Assert.Equal(count, mask.Sum());
        }
    }

    [Fact]
    public void Encoding_into_spans_allocates_nothing()
    {
        BertTokenizer tokenizer = s_tokenizer.Value;
        const string Text = "Is there a Zyzzyva, 42 kg, in naïve Café? 한국어";
        var ids = new int[16];
        var mask = new int[16];
        tokenizer.EncodeFixed(Text, ids, mask);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
        {
            tokenizer.EncodeFixed(Text, ids, mask);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    /// <summary>Where the runtime can normalise text, its answer and the table's agree; where it cannot, known characters do.</summary>
    [Theory]
    [InlineData("é", "e\u0301")]
    [InlineData("ǻ", "a\u030A\u0301")]
    [InlineData("한", "\u1112\u1161\u11AB")]
    [InlineData("가", "\u1100\u1161")]
    [InlineData("\uF96E", "葉")]
    [InlineData("\U0002F800", "丽")]
    [InlineData("ﬁ", "ﬁ")]
    [InlineData("x", "x")]
    [InlineData("\u1F82", "α\u0313\u0300\u0345")]
    public void Characters_decompose(string text, string expected)
    {
        Span<Rune> parts = new Rune[CanonicalDecomposition.MaxLength];
        int count = CanonicalDecomposition.Decompose(text.EnumerateRunes().Single(), parts);
        Assert.Equal(expected, string.Concat(parts[..count].ToArray()));
    }
}
