using System.Text;
using System.Text.Json;
using Dvp.Engine;

namespace Dvp.Tasks;

/// <summary>Handles one record of a file.</summary>
/// <param name="reader">Reads this record and nothing else, whole in memory; it stands on the opening brace.</param>
/// <param name="index">Zero-based number of the record in its array.</param>
internal delegate void RecordHandler(ref Utf8JsonReader reader, int index);

/// <summary>
/// Reads the records of one array of a JSON file as a stream: memory holds one buffer, never the file. The published
/// annotation files are hundreds of megabytes.
/// </summary>
internal sealed class JsonRecords
{
    private const int MaxRecordBytes = 64 << 20;
    private readonly Stream _stream;
    private readonly string _file;
    private byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;
    private bool _final;
    private int _records;

    private JsonRecords(Stream stream, string file)
    {
        _stream = stream;
        _file = file;
    }

    /// <summary>Reads <paramref name="stream"/> to its end.</summary>
    /// <param name="stream">UTF-8 JSON, with or without a byte order mark.</param>
    /// <param name="file">The name shown in errors.</param>
    /// <param name="array">Name of the array in the top-level object, or null when the array is the whole file.</param>
    /// <param name="record">Called for each element of the array.</param>
    /// <param name="header">Called with each other string value of the top-level object.</param>
    /// <returns>The number of records.</returns>
    /// <exception cref="DvpException">The file is not JSON, ends early, or has no such array.</exception>
    public static int Read(Stream stream, string file, string? array, RecordHandler record, Action<string, string>? header = null)
    {
        JsonRecords records = new(stream, file);
        try
        {
            records.Run(array, record, header);
        }
        catch (JsonException e)
        {
            throw new DvpException($"{file} is not valid JSON {records.Place()}: {Reason(e)}. Fetch or write the file again.", e);
        }
        catch (InvalidOperationException e) when (e is not ObjectDisposedException)
        {
            // What the reader throws for bytes that are no UTF-8 and for half a surrogate pair.
            throw new DvpException($"{file}: record {records._records} holds a text that is not valid Unicode.", e);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw new DvpException($"{file} cannot be read to its end {records.Place()}: {e.Message} Fetch the file again.", e);
        }

        return records._records;
    }

    private string Place() => _records == 0 ? "before its first record" : $"after record {_records - 1}";

    private static string Reason(JsonException e)
    {
        int end = e.Message.IndexOf(". ", StringComparison.Ordinal);
        return (end < 0 ? e.Message : e.Message[..end]).TrimEnd('.');
    }

    private void Run(string? array, RecordHandler record, Action<string, string>? header)
    {
        Fill();
        if (_buffer.AsSpan(_start, _end - _start).StartsWith(Encoding.UTF8.Preamble))
        {
            _start += 3;
        }

        JsonReaderState state = default;
        bool inArray = false, found = false;
        while (true)
        {
            Utf8JsonReader reader = new(_buffer.AsSpan(_start, _end - _start), _final, state);
            bool done = false;
            while (Step(ref reader, array, record, header, ref inArray, ref found, ref done))
            {
                // A step is atomic: what it consumed is never read again.
            }

            _start += (int)reader.BytesConsumed;
            state = reader.CurrentState;
            if (done)
            {
                break;
            }

            if (_final)
            {
                throw new JsonException("the file ends in the middle");
            }

            Fill();
        }

        if (!found)
        {
            throw new DvpException($"{_file} has no array \"{array}\"; is it a file of the kind that its place in the data set asks for?");
        }
    }

    /// <summary>One token or one whole record; false, with nothing consumed, when it is not in the buffer to its end.</summary>
    private bool Step(
        ref Utf8JsonReader reader, string? array, RecordHandler record, Action<string, string>? header, ref bool inArray, ref bool found,
        ref bool done)
    {
        Utf8JsonReader before = reader;
        if (!reader.Read())
        {
            done = _final;
            reader = before;
            return false;
        }

        if (inArray)
        {
            if (reader.TokenType == JsonTokenType.EndArray)
            {
                inArray = false;
                return true;
            }

            return OnRecord(ref reader, before, record);
        }

        if (reader.CurrentDepth == 0)
        {
            bool opens = reader.TokenType == (array is null ? JsonTokenType.StartArray : JsonTokenType.StartObject);
            if (!opens && reader.TokenType != JsonTokenType.EndObject)
            {
                throw new JsonException(array is null ? "an array of records was expected" : "an object was expected");
            }

            if (array is null)
            {
                inArray = found = true;
            }

            return true;
        }

        return OnProperty(ref reader, before, array, header, ref inArray, ref found);
    }

    private bool OnRecord(ref Utf8JsonReader reader, Utf8JsonReader before, RecordHandler record)
    {
        Utf8JsonReader whole = reader;
        if (!whole.TrySkip())
        {
            reader = before;
            return false;
        }

        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("a record is not an object");
        }

        int from = (int)reader.TokenStartIndex;
        Utf8JsonReader alone = new(_buffer.AsSpan(_start + from, (int)whole.BytesConsumed - from));
        alone.Read();
        record(ref alone, _records);
        reader = whole;
        _records++;
        return true;
    }

    private static bool OnProperty(
        ref Utf8JsonReader reader, Utf8JsonReader before, string? array, Action<string, string>? header, ref bool inArray, ref bool found)
    {
        bool wanted = !found && reader.ValueTextEquals(array);
        string? name = wanted || header is null ? null : reader.GetString();
        if (!reader.Read() || (!wanted && !reader.TrySkip()))
        {
            reader = before;
            return false;
        }

        if (wanted)
        {
            if (reader.TokenType != JsonTokenType.StartArray)
            {
                throw new JsonException($"\"{array}\" is not an array");
            }

            inArray = found = true;
        }
        else if (name is not null && reader.TokenType == JsonTokenType.String)
        {
            header!(name, reader.GetString()!);
        }

        return true;
    }

    private void Fill()
    {
        int kept = _end - _start;
        if (_start > 0)
        {
            _buffer.AsSpan(_start, kept).CopyTo(_buffer);
            (_start, _end) = (0, kept);
        }

        if (_end == _buffer.Length)
        {
            if (_buffer.Length >= MaxRecordBytes)
            {
                throw new JsonException($"a record is longer than {MaxRecordBytes >> 20} MiB");
            }

            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        int read = _stream.Read(_buffer, _end, _buffer.Length - _end);
        _final = read == 0;
        _end += read;
    }
}
