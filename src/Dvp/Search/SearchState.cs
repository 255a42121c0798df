using System.Buffers;
using System.Text.Json;
using Dvp.Engine;

namespace Dvp.Search;

/// <summary>A search between two steps, as a training checkpoint holds it.</summary>
/// <param name="Strategy">Name of the strategy.</param>
/// <param name="Layers">L.</param>
/// <param name="Steps">Steps taken.</param>
/// <param name="Random">Where its random numbers stand.</param>
/// <param name="Values">The strategy's own numbers, in its own order.</param>
public sealed record SearchState(string Strategy, int Layers, int Steps, SeededRandomState Random, IReadOnlyList<double> Values)
{
    /// <summary>The state as JSON text; numbers are written so that they read back to the same bits.</summary>
    public string ToJson()
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("strategy", Strategy);
            writer.WriteNumber("layers", Layers);
            writer.WriteNumber("steps", Steps);
            writer.WriteNumber("seed", Random.Seed);
            writer.WriteNumber("stream", Random.Stream);
            writer.WriteNumber("position", Random.Position);
            writer.WriteStartArray("values");
            foreach (double value in Values)
            {
                writer.WriteNumberValue(value);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <exception cref="DvpException">The text is not a search state.</exception>
    public static SearchState FromJson(string json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            JsonElement root = document.RootElement;
            return new SearchState(
                root.GetProperty("strategy").GetString() ?? string.Empty,
                root.GetProperty("layers").GetInt32(),
                root.GetProperty("steps").GetInt32(),
                new SeededRandomState(
                    root.GetProperty("seed").GetUInt64(), root.GetProperty("stream").GetUInt32(), root.GetProperty("position").GetUInt64()),
                [.. root.GetProperty("values").EnumerateArray().Select(v => v.GetDouble())]);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new DvpException(
                "The saved state of the layer search cannot be read; start the search again or restore the checkpoint.", error);
        }
    }
}
