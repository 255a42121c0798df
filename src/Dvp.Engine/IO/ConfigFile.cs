using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Dvp.Engine.Devices;

namespace Dvp.Engine.IO;

/// <summary>A JSON object with settings; every value is checked, and an error names file and key.</summary>
public sealed class ConfigFile
{
    private const long MaximumBytes = 256_000_000;

    private readonly string _path;
    private readonly string _section;
    private readonly JsonElement _root;

    private ConfigFile(string path, string section, JsonElement root)
    {
        _path = path;
        _section = section;
        _root = root;
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="DvpException">The file is missing or not a JSON object.</exception>
    public static ConfigFile Load(string path)
    {
        try
        {
            long length = new FileInfo(path).Length;
            return length <= MaximumBytes
                ? Parse(path, File.ReadAllBytes(path))
                : throw new DvpException($"{path} has {length} bytes; no settings are that large, give another file.");
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new DvpException($"{path} is missing; give a folder that holds it.", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Reads text that is already there.</summary>
    /// <param name="path">The name that errors give.</param>
    /// <param name="json">UTF-8 JSON, with or without a byte order mark.</param>
    /// <exception cref="DvpException">The text is not a JSON object, or a key in it stands twice.</exception>
    public static ConfigFile Parse(string path, byte[] json)
    {
        ReadOnlySpan<byte> text = json.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? json.AsSpan(3) : json;
        if (!Utf8.IsValid(text))
        {
            throw new DvpException($"{path} is not valid UTF-8; write or copy the file again.");
        }

        try
        {
            JsonElement root = JsonElement.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return root.ValueKind == JsonValueKind.Object
                ? new ConfigFile(path, "", root)
                : throw new DvpException($"{path} must hold a JSON object, found {Found(root)}.");
        }
        catch (JsonException error)
        {
            string line = error.LineNumber is { } number ? $"line {number + 1}" : error.Message.TrimEnd('.');
            throw new DvpException($"{path} is not valid JSON ({line}); write or copy the file again.", error);
        }
        catch (InvalidOperationException error)
        {
            throw new DvpException($"{path} has a key that is not valid Unicode; write or copy the file again.", error);
        }
    }

    /// <summary>The object itself.</summary>
    public JsonElement Root => _root;

    /// <summary>The keys, in the order of the file.</summary>
    public IEnumerable<string> Keys => _root.EnumerateObject().Select(p => p.Name);

    /// <summary>Whether a key is there and not null.</summary>
    public bool Has(string key) => _root.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>The value of a key as it is, for lists and maps; null if absent.</summary>
    public JsonElement? Raw(string key) => Has(key) ? _root.GetProperty(key) : null;

    /// <summary>An inner object, or null if absent.</summary>
    public ConfigFile? Section(string key)
    {
        if (!Has(key))
        {
            return null;
        }

        JsonElement value = _root.GetProperty(key);
        return value.ValueKind == JsonValueKind.Object
            ? new ConfigFile(_path, _section + key + ".", value)
            : throw Error(key, $"must be an object, found {Found(value)}");
    }

    /// <summary>A whole number.</summary>
    /// <param name="key">The key.</param>
    /// <param name="absent">The value where the key is absent; null makes it an error.</param>
    public int Int(string key, int? absent = null)
    {
        if (!Has(key))
        {
            return absent ?? throw Error(key, "is missing");
        }

        JsonElement value = _root.GetProperty(key);

        // 12.0 is a whole number too: some tools write all numbers so.
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number == Math.Floor(number)
            && number is >= int.MinValue and <= int.MaxValue
            ? (int)number
            : throw Error(key, $"must be a whole number, found {Found(value)}");
    }

    /// <summary>A whole number of at least 1 and at most 16 million: no size is believed beyond that.</summary>
    public int PositiveInt(string key, int? absent = null)
    {
        int value = Int(key, absent);
        return value is > 0 and <= 1 << 24 ? value : throw Error(key, $"must be a positive integer, found {value}");
    }

    /// <summary>A number.</summary>
    public double Number(string key, double? absent = null)
    {
        if (!Has(key))
        {
            return absent ?? throw Error(key, "is missing");
        }

        JsonElement value = _root.GetProperty(key);
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number)
            ? number
            : throw Error(key, $"must be a number, found {Found(value)}");
    }

    /// <summary>A dropout rate: at least 0 and below 1.</summary>
    public float DropoutRate(string key, double absent)
    {
        double rate = Number(key, absent);
        return rate is >= 0 and < 1 ? (float)rate : throw Error(key, string.Create(CultureInfo.InvariantCulture, $"must be at least 0 and below 1, found {rate}"));
    }

    /// <summary>True or false.</summary>
    /// <param name="key">The key.</param>
    /// <param name="absent">The value where the key is absent; null makes it an error.</param>
    public bool Bool(string key, bool? absent = null)
    {
        if (!Has(key))
        {
            return absent ?? throw Error(key, "is missing");
        }

        JsonElement value = _root.GetProperty(key);
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : throw Error(key, $"must be true or false, found {Found(value)}");
    }

    /// <summary>A text.</summary>
    public string Text(string key, string? absent = null)
    {
        if (!Has(key))
        {
            return absent ?? throw Error(key, "is missing");
        }

        JsonElement value = _root.GetProperty(key);
        return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Error(key, $"must be a text, found {Found(value)}");
    }

    /// <summary>A list of whole numbers, or null if absent.</summary>
    public IReadOnlyList<int>? Integers(string key)
    {
        List<int> values = [];
        foreach (JsonElement item in Items(key) ?? [])
        {
            values.Add(item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int number)
                ? number
                : throw Error(key, $"must hold whole numbers, found {Found(item)}"));
        }

        return Has(key) ? values : null;
    }

    /// <summary>A list of texts, or null if absent.</summary>
    public IReadOnlyList<string>? Texts(string key)
    {
        List<string> values = [];
        foreach (JsonElement item in Items(key) ?? [])
        {
            values.Add(item.ValueKind == JsonValueKind.String
                ? item.GetString()!
                : throw Error(key, $"must hold texts, found {Found(item)}"));
        }

        return Has(key) ? values : null;
    }

    private IEnumerable<JsonElement>? Items(string key)
    {
        if (!Has(key))
        {
            return null;
        }

        JsonElement value = _root.GetProperty(key);
        return value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw Error(key, $"must be a list, found {Found(value)}");
    }

    /// <summary>An activation by its Hugging Face name.</summary>
    public Activation Activation(string key, Activation absent)
    {
        if (!Has(key))
        {
            return absent;
        }

        return Text(key) switch
        {
            "relu" => Devices.Activation.Relu,
            "gelu" => Devices.Activation.GeluErf,
            "gelu_new" or "gelu_pytorch_tanh" => Devices.Activation.GeluTanh,
            "quick_gelu" => Devices.Activation.QuickGelu,
            "silu" or "swish" => Devices.Activation.Silu,
            "tanh" => Devices.Activation.Tanh,
            string other => throw Error(key, $"must be relu, gelu, gelu_new, quick_gelu, silu or tanh, found {other}"),
        };
    }

    /// <summary>The Hugging Face name of an activation, which <see cref="Activation"/> reads back.</summary>
    public static string NameOf(Activation activation) => activation switch
    {
        Devices.Activation.Relu => "relu",
        Devices.Activation.GeluErf => "gelu",
        Devices.Activation.GeluTanh => "gelu_new",
        Devices.Activation.QuickGelu => "quick_gelu",
        Devices.Activation.Silu => "silu",
        Devices.Activation.Tanh => "tanh",
        _ => throw new ArgumentException($"Configurations have no name for {activation}.", nameof(activation)),
    };

    /// <summary>Checks that a key has the one value that is supported.</summary>
    public void RequireValue(string key, string value, bool optional = false)
    {
        string found = Text(key, optional ? value : null);
        if (found != value)
        {
            throw Error(key, $"must be {value}, found {found}");
        }
    }

    /// <summary>An error about a key.</summary>
    public DvpException Error(string key, string problem) => new($"{_path}: {_section}{key} {problem}.");

    /// <summary>A value as errors show it: short values as they are written, others by their kind.</summary>
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
}
