using System.Globalization;
using System.Text.Json;

namespace Dvp.Engine.IO;

/// <summary>
/// Reads a JSON object key by key, for configuration files. An error names file and key, says what is needed and what was found:
/// "config.json: hidden_size must be a positive integer, found -3".
/// </summary>
public sealed class JsonRead
{
    private const long MaximumLength = 256_000_000;

    private readonly string _path;

    private JsonRead(JsonElement element, string origin, string path)
    {
        Element = element;
        Origin = origin;
        _path = path;
    }

    /// <summary>The object itself.</summary>
    public JsonElement Element { get; }

    /// <summary>Name of the file, for messages.</summary>
    public string Origin { get; }

    /// <summary>The object's keys.</summary>
    public IEnumerable<string> Keys => Element.EnumerateObject().Select(p => p.Name);

    /// <summary>Reads a file that holds one object.</summary>
    /// <exception cref="DvpException">The file is missing, unreadable, absurdly large, not JSON, or not an object.</exception>
    public static JsonRead File(string path)
    {
        try
        {
            FileInfo file = new(path);
            if (!file.Exists)
            {
                throw new DvpException($"{path} does not exist.");
            }

            if (file.Length > MaximumLength)
            {
                throw new DvpException($"{path} has {file.Length} bytes; a configuration is not that large.");
            }

            return Parse(System.IO.File.ReadAllBytes(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads an object from text.</summary>
    /// <param name="json">The text in UTF-8, with or without a byte order mark.</param>
    /// <param name="origin">Name of the file, for messages.</param>
    public static JsonRead Parse(ReadOnlyMemory<byte> json, string origin)
    {
        ReadOnlySpan<byte> mark = [0xef, 0xbb, 0xbf];
        try
        {
            JsonElement root = JsonElement.Parse(
                json.Span.StartsWith(mark) ? json.Span[3..] : json.Span, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return root.ValueKind == JsonValueKind.Object
                ? new JsonRead(root, origin, "")
                : throw new DvpException($"{origin} must hold a JSON object, found {Found(root)}.");
        }
        catch (JsonException e)
        {
            throw new DvpException($"{origin} is not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>Whether a key is there with another value than null.</summary>
    public bool Has(string key) => TryGet(key, out _);

    /// <summary>A string.</summary>
    public string String(string key) => String(key, null) ?? throw Missing(key, "a string");

    /// <summary>A string, or a value for where it is absent or null.</summary>
    public string? String(string key, string? absent) => !TryGet(key, out JsonElement value) ? absent
        : value.ValueKind == JsonValueKind.String ? value.GetString() : throw Wrong(key, "a string", value);

    /// <summary>One of some strings.</summary>
    /// <param name="key">The key.</param>
    /// <param name="absent">The value for where it is absent or null; null makes that an error.</param>
    /// <param name="choices">The strings that are allowed.</param>
    public string OneOf(string key, string? absent, params ReadOnlySpan<string> choices)
    {
        string needed = "one of " + string.Join(", ", choices.ToArray());
        if (!TryGet(key, out JsonElement value))
        {
            return absent ?? throw Missing(key, needed);
        }

        return value.ValueKind == JsonValueKind.String && choices.Contains(value.GetString()) ? value.GetString()! : throw Wrong(key, needed, value);
    }

    /// <summary>An integer.</summary>
    public int Int(string key) => Int(key, null) ?? throw Missing(key, "an integer");

    /// <summary>An integer, or a value for where it is absent or null.</summary>
    public int? Int(string key, int? absent) => Integer(key, absent, int.MinValue, "an integer");

    /// <summary>An integer above 0.</summary>
    public int PositiveInt(string key) => PositiveInt(key, null) ?? throw Missing(key, "a positive integer");

    /// <summary>An integer above 0, or a value for where it is absent or null.</summary>
    public int PositiveInt(string key, int absent) => PositiveInt(key, (int?)absent)!.Value;

    /// <summary>An integer above 0, or a value for where it is absent or null.</summary>
    public int? PositiveInt(string key, int? absent) => Integer(key, absent, 1, "a positive integer");

    /// <summary>A number.</summary>
    public double Double(string key) => Double(key, null) ?? throw Missing(key, "a number");

    /// <summary>A number, or a value for where it is absent or null.</summary>
    public double Double(string key, double absent) => Double(key, (double?)absent)!.Value;

    /// <summary>A number, or a value for where it is absent or null.</summary>
    public double? Double(string key, double? absent) => !TryGet(key, out JsonElement value) ? absent
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number) ? number
        : throw Wrong(key, "a number", value);

    /// <summary>True or false.</summary>
    public bool Bool(string key) => Bool(key, null) ?? throw Missing(key, "true or false");

    /// <summary>True or false, or a value for where it is absent or null.</summary>
    public bool Bool(string key, bool absent) => Bool(key, (bool?)absent)!.Value;

    /// <summary>True or false, or a value for where it is absent or null.</summary>
    public bool? Bool(string key, bool? absent) => !TryGet(key, out JsonElement value) ? absent
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(key, "true or false", value);

    /// <summary>An object inside this one.</summary>
    public JsonRead Object(string key) => OptionalObject(key) ?? throw Missing(key, "an object");

    /// <summary>An object inside this one; null where it is absent or null.</summary>
    public JsonRead? OptionalObject(string key) => !TryGet(key, out JsonElement value) ? null
        : value.ValueKind == JsonValueKind.Object ? new JsonRead(value, Origin, Name(key) + ".") : throw Wrong(key, "an object", value);

    /// <summary>A list of strings; empty where it is absent or null.</summary>
    public IReadOnlyList<string> Strings(string key) =>
        List(key, "a list of strings", e => e.ValueKind == JsonValueKind.String ? e.GetString() : null);

    /// <summary>A list of numbers; empty where it is absent or null.</summary>
    public IReadOnlyList<double> Doubles(string key) =>
        [.. List(key, "a list of numbers", e => e.ValueKind == JsonValueKind.Number ? e.GetRawText() : null)
            .Select(t => double.Parse(t, CultureInfo.InvariantCulture))];

    /// <summary>The error for a key whose value is of the right kind but wrong by what other values say.</summary>
    /// <param name="key">The key.</param>
    /// <param name="needed">What it must be: "a multiple of num_attention_heads (12)".</param>
    public DvpException Error(string key, string needed) =>
        TryGet(key, out JsonElement value) ? Wrong(key, needed, value) : Missing(key, needed);

    private static string Found(JsonElement value)
    {
        string text = value.GetRawText();
        return value.ValueKind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => "a list",
            _ => text.Length <= 60 ? text : text[..60] + "...",
        };
    }

    private bool TryGet(string key, out JsonElement value) =>
        Element.TryGetProperty(key, out value) && value.ValueKind != JsonValueKind.Null;

    private int? Integer(string key, int? absent, int least, string needed)
    {
        if (!TryGet(key, out JsonElement value))
        {
            return absent;
        }

        // 12.0 is an integer too: some tools write all numbers so.
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number == Math.Floor(number)
            && number >= least && number <= int.MaxValue
            ? (int)number
            : throw Wrong(key, needed, value);
    }

    private List<string> List(string key, string needed, Func<JsonElement, string?> item)
    {
        if (!TryGet(key, out JsonElement value))
        {
            return [];
        }

        return value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(e => item(e) ?? throw new DvpException($"{Origin}: {Name(key)} must be {needed}, found {Found(e)} in it."))]
            : throw Wrong(key, needed, value);
    }

    private string Name(string key) => _path + key;

    private DvpException Missing(string key, string needed) => new($"{Origin}: {Name(key)} is missing; it must be {needed}.");

    private DvpException Wrong(string key, string needed, JsonElement value) =>
        new($"{Origin}: {Name(key)} must be {needed}, found {Found(value)}.");
}
