using System.Text.Json;
using Dvp.Engine;

namespace Dvp.Models.Tokenizers;

/// <summary>Reads a tokenizer folder: <c>vocab.txt</c> with <c>tokenizer_config.json</c>, or <c>tokenizer.json</c>.</summary>
internal static class BertTokenizerFiles
{
    public static (WordPieceVocabulary Vocabulary, BertTokenizerSettings Settings, string File) Load(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new DvpException($"The tokenizer folder {folder} does not exist.");
        }

        string vocabulary = Path.Combine(folder, "vocab.txt");
        string whole = Path.Combine(folder, "tokenizer.json");
        BertTokenizerSettings settings = ReadConfig(Path.Combine(folder, "tokenizer_config.json"));
        if (File.Exists(vocabulary))
        {
            return (WordPieceVocabulary.Load(vocabulary), settings, vocabulary);
        }

        if (!File.Exists(whole))
        {
            throw new DvpException($"The folder {folder} holds neither vocab.txt nor tokenizer.json; a BERT tokenizer needs one of them.");
        }

        return ReadJson(whole, root => FromTokenizerJson(root, settings, whole));
    }

    private static BertTokenizerSettings ReadConfig(string file) => !File.Exists(file) ? new BertTokenizerSettings()
        : ReadJson(file, root =>
        {
            BertTokenizerSettings defaults = new();
            double? longest = root.TryGetProperty("model_max_length", out JsonElement value) && value.ValueKind == JsonValueKind.Number
                ? value.GetDouble() : null;
            List<string> additional = [];
            if (root.TryGetProperty("additional_special_tokens", out JsonElement tokens) && tokens.ValueKind == JsonValueKind.Array)
            {
                additional.AddRange(tokens.EnumerateArray().Select(Content).OfType<string>());
            }

            if (root.TryGetProperty("added_tokens_decoder", out JsonElement added) && added.ValueKind == JsonValueKind.Object)
            {
                additional.AddRange(added.EnumerateObject().Select(t => Content(t.Value)).OfType<string>());
            }

            return defaults with
            {
                Lowercase = Flag(root, "do_lower_case") ?? true,
                StripAccents = Flag(root, "strip_accents"),
                SeparateChinese = Flag(root, "tokenize_chinese_chars") ?? true,
                ModelMaxLength = longest is >= 1 and < int.MaxValue ? (int)longest : null,
                Unknown = Named(root, "unk_token") ?? defaults.Unknown,
                Classifier = Named(root, "cls_token") ?? defaults.Classifier,
                Separator = Named(root, "sep_token") ?? defaults.Separator,
                Padding = Named(root, "pad_token") ?? defaults.Padding,
                Mask = Named(root, "mask_token") ?? defaults.Mask,
                Additional = additional,
            };
        });

    /// <summary>Its truncation and padding are somebody's request settings, not the tokenizer's, and are not applied.</summary>
    private static (WordPieceVocabulary, BertTokenizerSettings, string) FromTokenizerJson(JsonElement root,
        BertTokenizerSettings settings, string file)
    {
        JsonElement model = root.GetProperty("model");
        if (model.TryGetProperty("type", out JsonElement type) && type.GetString() != "WordPiece")
        {
            throw new DvpException($"The tokenizer {file} has a model of type {type.GetString()}; a BERT tokenizer needs WordPiece.");
        }

        if (root.TryGetProperty("pre_tokenizer", out JsonElement splitter) && splitter.ValueKind == JsonValueKind.Object
            && splitter.GetProperty("type").GetString() != "BertPreTokenizer")
        {
            throw new DvpException($"The tokenizer {file} splits text by {splitter.GetProperty("type").GetString()}; " +
                "a BERT tokenizer needs BertPreTokenizer.");
        }

        if (root.TryGetProperty("normalizer", out JsonElement normaliser) && normaliser.ValueKind == JsonValueKind.Object)
        {
            settings = settings with
            {
                CleanText = Flag(normaliser, "clean_text") ?? true,
                SeparateChinese = Flag(normaliser, "handle_chinese_chars") ?? true,
                StripAccents = Flag(normaliser, "strip_accents"),
                Lowercase = Flag(normaliser, "lowercase") ?? true,
            };
        }

        List<string> added = [.. settings.Additional];
        Dictionary<int, string> byId = model.GetProperty("vocab").EnumerateObject().ToDictionary(p => p.Value.GetInt32(), p => p.Name);
        if (root.TryGetProperty("added_tokens", out JsonElement tokens) && tokens.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement token in tokens.EnumerateArray())
            {
                string content = token.GetProperty("content").GetString()!;
                byId[token.GetProperty("id").GetInt32()] = content;
                added.Add(content);
            }
        }

        var list = new string[byId.Count];
        for (int id = 0; id < list.Length; id++)
        {
            list[id] = byId.TryGetValue(id, out string? token) ? token
                : throw new DvpException($"The vocabulary in {file} has no token with id {id}; restore the original file.");
        }

        settings = settings with
        {
            Unknown = Named(model, "unk_token") ?? settings.Unknown,
            MaxWordLength = model.TryGetProperty("max_input_chars_per_word", out JsonElement longest) ? longest.GetInt32() : 100,
            Additional = added,
        };
        return (new WordPieceVocabulary(list, Named(model, "continuing_subword_prefix") ?? "##", file), settings, file);
    }

    private static T ReadJson<T>(string file, Func<JsonElement, T> read)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(file));
            return read(document.RootElement);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"The tokenizer file {file} cannot be read: {e.Message}", e);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException
            or ArgumentException)
        {
            throw new DvpException($"The tokenizer file {file} is not valid: {e.Message}", e);
        }
    }

    private static bool? Flag(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value.GetBoolean() : null;

    private static string? Named(JsonElement root, string name) => root.TryGetProperty(name, out JsonElement value) ? Content(value) : null;

    /// <summary>A token is written as text, or as an object with its text in <c>content</c>.</summary>
    private static string? Content(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Object => value.GetProperty("content").GetString(),
        _ => null,
    };
}
