using System.Runtime.InteropServices;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Models.Clip;
using Dvp.Training;

namespace Dvp.Features;

/// <summary>
/// Visual tokens of a data set's pictures: float16 in a few memory-mapped safetensors shards, and an index. The encoder is frozen and
/// nothing is augmented, so cached features are those that the encoder would compute, rounded to float16.
/// </summary>
public sealed class FeatureStore : IVisualFeatures, IDisposable
{
    /// <summary>Name of the index in the folder.</summary>
    public const string IndexName = "features.json";

    private const string TensorName = "features";
    private readonly Dictionary<string, int> _rows;
    private readonly List<SafetensorsFile> _shards;
    private readonly int _picturesPerShard;
    private readonly string _root;

    private FeatureStore(
        string root, Dictionary<string, int> rows, List<SafetensorsFile> shards, int picturesPerShard, int tokens, int channels, string fingerprint)
    {
        _root = root;
        _rows = rows;
        _shards = shards;
        _picturesPerShard = picturesPerShard;
        Tokens = tokens;
        Channels = channels;
        VisionModelFingerprint = fingerprint;
    }

    /// <inheritdoc/>
    public int Tokens { get; }

    /// <inheritdoc/>
    public int Channels { get; }

    /// <summary>Fingerprint of the encoder that made the features.</summary>
    public string VisionModelFingerprint { get; }

    /// <summary>Number of pictures.</summary>
    public int Count => _rows.Count;

    /// <summary>Bytes of all features.</summary>
    public long Bytes => (long)Count * Tokens * Channels * sizeof(ushort);

    /// <summary>Encodes pictures and writes the store; the folder is whole or absent, whenever the process dies.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="encoder">The encoder.</param>
    /// <param name="root">The data folder; pictures are recorded relative to it, so that data and store can move together.</param>
    /// <param name="pictures">Picture files; each is encoded once.</param>
    /// <param name="progress">Called with the number of pictures done.</param>
    /// <param name="picturesPerShard">Pictures of one shard.</param>
    /// <exception cref="DvpException">A picture is missing or damaged, or the disk is full.</exception>
    public static FeatureStore Build(
        string folder, VisualEncoder encoder, string root, IEnumerable<string> pictures, Action<int, int>? progress = null, int picturesPerShard = 8192)
    {
        string[] paths = [.. pictures.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        int size = encoder.Tokens * encoder.Channels;
        AtomicFolder.Write(folder, target =>
        {
            float[] values = new float[encoder.Batch * size];
            int shards = 0;
            for (int first = 0; first < paths.Length; first += picturesPerShard, shards++)
            {
                int count = Math.Min(picturesPerShard, paths.Length - first);
                int start = first;
                TensorContent content = new(TensorName, ElementType.F16, [count, encoder.Tokens, encoder.Channels], stream =>
                {
                    Half[] half = new Half[values.Length];
                    for (int at = 0; at < count; at += encoder.Batch)
                    {
                        ArraySegment<string> batch = new(paths, start + at, Math.Min(encoder.Batch, count - at));
                        encoder.Encode(batch, values);
                        for (int i = 0; i < batch.Count * size; i++)
                        {
                            half[i] = (Half)values[i];
                        }

                        stream.Write(MemoryMarshal.AsBytes(half.AsSpan(0, batch.Count * size)));
                        progress?.Invoke(start + at + batch.Count, paths.Length);
                    }
                });
                SafetensorsWriter.Write(Path.Combine(target, ShardName(shards)), [content]);
            }

            AtomicFile.WriteText(Path.Combine(target, IndexName), Index(encoder, [.. paths.Select(p => Key(root, p))], picturesPerShard));
        });
        return Open(folder, root);
    }

    /// <summary>Opens a store.</summary>
    /// <param name="folder">The store.</param>
    /// <param name="root">The data folder that the pictures are in.</param>
    /// <exception cref="DvpException">The folder is missing, damaged or incomplete.</exception>
    public static FeatureStore Open(string folder, string root)
    {
        folder = AtomicFolder.Resolve(folder);
        ConfigFile index = ConfigFile.Load(Path.Combine(folder, IndexName));
        IReadOnlyList<string> pictures = index.Texts("pictures") ?? throw index.Error("pictures", "is missing");
        (int tokens, int channels) = (index.PositiveInt("tokens"), index.PositiveInt("channels"));
        int perShard = index.PositiveInt("pictures_per_shard");
        Dictionary<string, int> rows = new(pictures.Count, StringComparer.Ordinal);
        foreach (string picture in pictures)
        {
            if (!rows.TryAdd(picture, rows.Count))
            {
                throw index.Error("pictures", $"names {picture} twice");
            }
        }

        List<SafetensorsFile> shards = [];
        try
        {
            for (int first = 0; first < pictures.Count; first += perShard)
            {
                SafetensorsFile shard = new(Path.Combine(folder, ShardName(shards.Count)));
                shards.Add(shard);
                TensorEntry entry = shard[TensorName];
                int[] expected = [Math.Min(perShard, pictures.Count - first), tokens, channels];
                if (entry.Type != ElementType.F16 || !entry.Shape.AsSpan().SequenceEqual(expected))
                {
                    throw new DvpException($"{shard.FilePath} holds {entry}, and the index promises F16({string.Join(", ", expected)}); build the features again.");
                }
            }
        }
        catch
        {
            shards.ForEach(s => s.Dispose());
            throw;
        }

        return new FeatureStore(root, rows, shards, perShard, tokens, channels, index.Text("vision_model"));
    }

    /// <summary>Whether all pictures are in the store and the encoder is the one that made it.</summary>
    public bool Serves(VisualEncoder encoder, IEnumerable<string> pictures) =>
        VisionModelFingerprint == Identity(encoder) && pictures.All(p => _rows.ContainsKey(Key(_root, p)));

    /// <summary>Row of a picture.</summary>
    /// <exception cref="DvpException">The store does not hold the picture.</exception>
    public int RowOf(string picture) => _rows.TryGetValue(Key(_root, picture), out int row)
        ? row
        : throw new DvpException($"The feature store has no picture {picture}; build the features of this data again.");

    /// <inheritdoc/>
    public void Read(int row, Span<float> destination)
    {
        SafetensorsFile shard = _shards[row / _picturesPerShard];
        shard.ReadFloats(shard[TensorName], (long)(row % _picturesPerShard) * Tokens * Channels, destination[..(Tokens * Channels)]);
    }

    /// <inheritdoc/>
    public void Dispose() => _shards.ForEach(s => s.Dispose());

    private static string Key(string root, string picture) => Path.GetRelativePath(root, picture).Replace('\\', '/');

    private static string ShardName(int shard) => $"features-{shard:00000}.safetensors";

    private static string Identity(VisualEncoder encoder) =>
        ClipFolder.Fingerprint(encoder.Folder) + "/" + encoder.Preprocessor.Config.Transform;

    private static string Index(VisualEncoder encoder, string[] pictures, int picturesPerShard)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            json.WriteNumber("format_version", 1);
            json.WriteString("vision_model", Identity(encoder));
            json.WriteNumber("tokens", encoder.Tokens);
            json.WriteNumber("channels", encoder.Channels);
            json.WriteNumber("pictures_per_shard", picturesPerShard);
            json.WriteStartArray("pictures");
            foreach (string picture in pictures)
            {
                json.WriteStringValue(picture);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}
