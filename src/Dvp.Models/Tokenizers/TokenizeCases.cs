using System.Text;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Models.Tokenizers;

/// <summary>
/// Tokenizes JSON lines. Each line in has <c>text</c> (a string, or a list for a batch), and may have <c>pair</c>, <c>id</c>,
/// <c>kind</c> and <c>options</c> (<c>add_special_tokens</c>, <c>truncation</c>, <c>max_length</c>, <c>padding</c>,
/// <c>padding_side</c>, <c>pad_to_multiple_of</c>). Each line out has <c>id</c> and <c>kind</c> where they were given, <c>ids</c>,
/// <c>attention_mask</c>, <c>type_ids</c>, <c>tokens</c>, <c>offsets</c>, <c>special_tokens_mask</c>, <c>decoded</c>,
/// <c>decoded_with_special_tokens</c> and <c>decoded_cleaned_up</c>, for a batch as lists.
/// </summary>
public static class TokenizeCases
{
    /// <summary>Tokenizes a file of JSON lines.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="input">The file; empty lines are passed over.</param>
    /// <param name="output">The result, written whole or not at all.</param>
    /// <returns>Number of lines.</returns>
    /// <exception cref="DvpException">A line is not valid; the message names file and line.</exception>
    public static int Run(ITextTokenizer tokenizer, string input, string output)
    {
        int count = 0;
        AtomicFile.Write(output, stream =>
        {
            using StreamReader reader = OpenInput(input);
            for (int number = 1; reader.ReadLine() is { } line; number++)
            {
                if (string.IsNullOrWhiteSpace(line))
                {
                    continue;
                }

                RunLine(tokenizer, line, $"{input}, line {number}", stream);
                stream.WriteByte((byte)'\n');
                count++;
            }
        });
        return count;
    }

    /// <summary>Tokenizes one line.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="line">A JSON object.</param>
    /// <param name="name">What error messages call the line.</param>
    /// <param name="output">Where the resulting object is written.</param>
    /// <exception cref="DvpException">The line is not valid.</exception>
    public static void RunLine(ITextTokenizer tokenizer, string line, string name, Stream output)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            JsonElement text = root.GetProperty("text");
            bool batch = text.ValueKind == JsonValueKind.Array;
            string[]? pairs = root.TryGetProperty("pair", out JsonElement pair) && pair.ValueKind != JsonValueKind.Null
                ? Texts(pair) : null;
            TokenEncoding[] encodings = tokenizer.EncodeBatch(Texts(text), pairs, Options(root));
            using Utf8JsonWriter writer = new(output);
            writer.WriteStartObject();
            Copy(root, "id", writer);
            Copy(root, "kind", writer);
            Write(writer, tokenizer, encodings, batch);
            writer.WriteEndObject();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new DvpException($"{name} is no valid tokenizer case: {e.Message}", e);
        }
        catch (DvpException e)
        {
            throw new DvpException($"{name}: {e.Message}", e, e.ExitCode);
        }
    }

    private static StreamReader OpenInput(string input)
    {
        try
        {
            return new StreamReader(input, Encoding.UTF8);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"The texts {input} cannot be read: {e.Message}", e);
        }
    }

    private static string[] Texts(JsonElement value) => value.ValueKind == JsonValueKind.Array
        ? [.. value.EnumerateArray().Select(Text)] : [Text(value)];

    private static string Text(JsonElement value) => value.GetString() ?? throw new FormatException("a text is null");

    private static EncodeOptions Options(JsonElement root)
    {
        EncodeOptions options = EncodeOptions.Default;
        if (!root.TryGetProperty("options", out JsonElement given) || given.ValueKind == JsonValueKind.Null)
        {
            return options;
        }

        foreach (JsonProperty option in given.EnumerateObject())
        {
            options = option.Name switch
            {
                "add_special_tokens" => options with { AddSpecialTokens = option.Value.GetBoolean() },
                "truncation" => options with { Truncation = Truncation(option.Value) },
                "max_length" => options with { MaxLength = Number(option.Value) },
                "padding" => options with { Padding = Padding(option.Value) },
                "padding_side" => options with { PaddingSide = Side(option.Value) },
                "pad_to_multiple_of" => options with { PadToMultipleOf = Number(option.Value) },
                _ => throw new FormatException($"the option {option.Name} is unknown"),
            };
        }

        return options;
    }

    private static int? Number(JsonElement value) => value.ValueKind == JsonValueKind.Null ? null : value.GetInt32();

    private static TruncationMode Truncation(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => TruncationMode.LongestFirst,
        JsonValueKind.False or JsonValueKind.Null => TruncationMode.None,
        _ => value.GetString() switch
        {
            "longest_first" => TruncationMode.LongestFirst,
            "only_first" => TruncationMode.OnlyFirst,
            "only_second" => TruncationMode.OnlySecond,
            "do_not_truncate" => TruncationMode.None,
            string other => throw new FormatException($"truncation {other} is unknown"),
            null => TruncationMode.None,
        },
    };

    private static PaddingMode Padding(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => PaddingMode.Longest,
        JsonValueKind.False or JsonValueKind.Null => PaddingMode.None,
        _ => value.GetString() switch
        {
            "longest" => PaddingMode.Longest,
            "max_length" => PaddingMode.MaxLength,
            "do_not_pad" => PaddingMode.None,
            string other => throw new FormatException($"padding {other} is unknown"),
            null => PaddingMode.None,
        },
    };

    private static PaddingSide Side(JsonElement value) => value.GetString() switch
    {
        "right" => PaddingSide.Right,
        "left" => PaddingSide.Left,
        string other => throw new FormatException($"padding_side {other} is unknown"),
        null => PaddingSide.Right,
    };

    private static void Copy(JsonElement root, string name, Utf8JsonWriter writer)
    {
        if (root.TryGetProperty(name, out JsonElement value))
        {
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
    }

    private static void Write(Utf8JsonWriter writer, ITextTokenizer tokenizer, TokenEncoding[] encodings, bool batch)
    {
        Each(writer, "ids", encodings, batch, e => Numbers(writer, e.Ids));
        Each(writer, "attention_mask", encodings, batch, e => Numbers(writer, e.AttentionMask));
        Each(writer, "type_ids", encodings, batch, e => Numbers(writer, e.TypeIds));
        Each(writer, "tokens", encodings, batch, e => List(writer, e.Tokens, writer.WriteStringValue));
        Each(writer, "offsets", encodings, batch, e => List(writer, e.Offsets, o => Numbers(writer, [o.Start, o.End])));
        Each(writer, "special_tokens_mask", encodings, batch, e => Numbers(writer, e.SpecialTokensMask));
        Each(writer, "decoded", encodings, batch, e => writer.WriteStringValue(tokenizer.Decode(e.Ids)));
        Each(writer, "decoded_with_special_tokens", encodings, batch,
            e => writer.WriteStringValue(tokenizer.Decode(e.Ids, skipSpecialTokens: false)));
        Each(writer, "decoded_cleaned_up", encodings, batch, e => writer.WriteStringValue(tokenizer.Decode(e.Ids, cleanUp: true)));
    }

    private static void Each(Utf8JsonWriter writer, string name, TokenEncoding[] encodings, bool batch, Action<TokenEncoding> write)
    {
        writer.WritePropertyName(name);
        if (!batch)
        {
            write(encodings[0]);
            return;
        }

        List(writer, encodings, write);
    }

    private static void Numbers(Utf8JsonWriter writer, int[] values) => List(writer, values, writer.WriteNumberValue);

    private static void List<T>(Utf8JsonWriter writer, T[] values, Action<T> write)
    {
        writer.WriteStartArray();
        foreach (T value in values)
        {
            write(value);
        }

        writer.WriteEndArray();
    }
}
