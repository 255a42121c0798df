using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>
/// The header of a safetensors file: 8 bytes little-endian length, then JSON: name -> dtype, shape, data_offsets, and the optional
/// <c>__metadata__</c> of strings. Every number is checked before it is used.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>Longest header that is read, as in the reference implementation of the format.</summary>
    public const long MaximumLength = 100_000_000;

    /// <summary>The name under which the file keeps its metadata.</summary>
    public const string MetadataName = "__metadata__";

    private readonly string _file;
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);

    private SafetensorsHeader(string file) => _file = file;

    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>Parses and checks a header.</summary>
    /// <param name="json">The header without its length.</param>
    /// <param name="fileLength">Length of the whole file in bytes.</param>
    /// <param name="file">Name of the file for messages.</param>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long fileLength, string file)
    {
        SafetensorsHeader header = new(file);
        try
        {
            header.ReadObject(json, dataStart: 8 + json.Length);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new DvpException($"{file}: the header is not valid JSON ({e.Message.TrimEnd('.')}); get the file again.", e);
        }

        header.CheckRanges(8 + json.Length, fileLength);
        return header;
    }

    /// <summary>The name of a type in the file format.</summary>
    public static string TypeName(ElementType type) => type switch
    {
        ElementType.Bool => "BOOL",
        _ => type.ToString(),
    };

    private void ReadObject(ReadOnlySpan<byte> json, long dataStart)
    {
        Utf8JsonReader reader = new(json);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject || json[0] != (byte)'{')
        {
            Fail("the header does not begin with an object");
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            if (name == MetadataName)
            {
                ReadMetadata(ref reader);
            }
            else if (!_entries.TryAdd(name, ReadEntry(ref reader, name, dataStart)))
            {
                Fail($"tensor {name} appears twice");
            }
        }

        while (reader.Read()) // white space pads the header; anything else makes the reader throw
        {
        }
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            Fail($"{MetadataName} is not an object");
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                Fail($"{MetadataName}.{key} is not a string");
            }

            if (!_metadata.TryAdd(key, reader.GetString()!))
            {
                Fail($"{MetadataName}.{key} appears twice");
            }
        }
    }

    private TensorEntry ReadEntry(ref Utf8JsonReader reader, string name, long dataStart)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            Fail($"the entry of tensor {name} is not an object");
        }

        string? type = null;
        List<long>? shape = null;
        List<long>? offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            switch (key)
            {
                case "dtype" when type is null && reader.TokenType == JsonTokenType.String:
                    type = reader.GetString();
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers(ref reader, name, key);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers(ref reader, name, key);
                    break;
                case "dtype" or "shape" or "data_offsets":
                    Fail($"tensor {name} has a repeated or wrong {key}");
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        if (type is null || shape is null || offsets is not [_, _])
        {
            Fail($"tensor {name} lacks its dtype, its shape or its two data_offsets");
        }

        return MakeEntry(name, type, shape, offsets, dataStart);
    }

    private List<long> ReadNumbers(ref Utf8JsonReader reader, string name, string key)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            Fail($"{key} of tensor {name} is not a list of numbers");
        }

        List<long> numbers = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            long number = -1;
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out number) || number < 0)
            {
                Fail($"{key} of tensor {name} must hold whole numbers from 0 to 2^63 - 1");
            }

            numbers.Add(number);
        }

        return numbers;
    }

    private TensorEntry MakeEntry(string name, string typeName, List<long> shape, List<long> offsets, long dataStart)
    {
        ElementType? known = typeName switch
        {
            "F32" => ElementType.F32,
            "BF16" => ElementType.BF16,
            "F16" => ElementType.F16,
            "F64" => ElementType.F64,
            "I64" => ElementType.I64,
            "I32" => ElementType.I32,
            "I16" => ElementType.I16,
            "I8" => ElementType.I8,
            "U8" => ElementType.U8,
            "BOOL" => ElementType.Bool,
            _ => null,
        };
        if (known is not { } type)
        {
            throw new DvpException($"{_file}: tensor {name} has the dtype {typeName}, which is not supported: "
                + "use F32, BF16, F16, F64, I64, I32, I16, I8, U8 or BOOL.");
        }

        Int128 size = type.Size();
        foreach (long extent in shape)
        {
            size *= extent;
            if (extent > int.MaxValue || size > long.MaxValue)
            {
                Fail($"the shape [{string.Join(", ", shape)}] of tensor {name} is larger than any memory");
            }
        }

        (long begin, long end) = (offsets[0], offsets[1]);
        if (end < begin)
        {
            Fail($"data_offsets of tensor {name} end at {end}, before they begin at {begin}");
        }

        if (end - begin != (long)size)
        {
            Fail(string.Create(CultureInfo.InvariantCulture, $"tensor {name} has {end - begin} bytes of data, but {typeName} ")
                + $"[{string.Join(", ", shape)}] takes {(long)size}");
        }

        if (end > long.MaxValue - dataStart)
        {
            Fail($"data_offsets of tensor {name} lie outside any file");
        }

        return new TensorEntry(name, type, [.. shape.Select(e => (int)e)], dataStart + begin, end - begin);
    }

    /// <summary>The tensors must tile the data: no overlap, no gap, nothing after the end.</summary>
    private void CheckRanges(long dataStart, long fileLength)
    {
        long position = dataStart;
        TensorEntry? before = null;
        foreach (TensorEntry entry in _entries.Values.OrderBy(e => e.Offset).ThenBy(e => e.Length))
        {
            if (entry.Offset + entry.Length > fileLength)
            {
                throw new DvpException($"{_file}: the file is truncated: tensor {entry.Name} ends at byte {entry.Offset + entry.Length}, "
                    + $"the file has {fileLength} bytes; get it again.");
            }

            if (entry.Offset < position)
            {
                Fail($"tensors {before?.Name} and {entry.Name} overlap");
            }

            if (entry.Offset > position)
            {
                Fail($"{entry.Offset - position} bytes before tensor {entry.Name} belong to no tensor");
            }

            position = entry.Offset + entry.Length;
            before = entry;
        }

        if (position < fileLength)
        {
            Fail($"the last {fileLength - position} bytes belong to no tensor");
        }
    }

    [DoesNotReturn]
    private void Fail(string what) => throw new DvpException($"{_file}: {what}; the file is damaged, get it again.");
}
