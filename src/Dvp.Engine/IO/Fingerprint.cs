using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Dvp.Engine.IO;

/// <summary>
/// SHA-256 hashes of models and files, as <c>sha256:</c> and 64 hexadecimal digits: they tie a trained DVP to the model that it was
/// trained on.
/// </summary>
/// <remarks>
/// A model's fingerprint is that of its configuration and of its tensors by name, type, shape and bytes. It does not change when the same
/// tensors are split into shards in another way, nor with the layout of config.json or the keys that only say which tool wrote it.
/// </remarks>
public static class Fingerprint
{
    private static readonly HashSet<string> s_toolKeys =
        new(StringComparer.Ordinal) { "transformers_version", "_name_or_path", "_commit_hash" };

    /// <summary>The fingerprint of a model folder: config.json and the weights.</summary>
    /// <param name="folder">A folder as <see cref="WeightFiles"/> opens it, with a config.json.</param>
    public static string OfModel(string folder)
    {
        using WeightFiles weights = WeightFiles.Open(folder);
        return OfModel(ConfigFile.Load(Path.Combine(AtomicFolder.Resolve(folder), "config.json")), weights);
    }

    /// <summary>The fingerprint of a configuration and tensors that are already open.</summary>
    /// <param name="config">The model's configuration.</param>
    /// <param name="tensors">The model's tensors.</param>
    public static string OfModel(ConfigFile config, ITensorSet tensors)
    {
        // One hash a tensor, and one of them all in the order of the names: large models are hashed on all cores.
        ConcurrentDictionary<string, byte[]> hashes = new(StringComparer.Ordinal);
        Parallel.ForEach(tensors.Names, name => hashes[name] = OfTensor(tensors, name));
        using IncrementalHash all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        StringBuilder canonical = new();
        WriteCanonical(config.Root, canonical, top: true);
        all.AppendData(SHA256.HashData(Encoding.UTF8.GetBytes(canonical.ToString())));
        foreach (string name in tensors.Names.Order(StringComparer.Ordinal))
        {
            all.AppendData(hashes[name]);
        }

        return Text(all.GetHashAndReset());
    }

    /// <summary>The fingerprint of files' names and bytes, in the order of the names; the folders they lie in do not count.</summary>
    /// <param name="paths">The files.</param>
    public static string OfFiles(params IEnumerable<string> paths)
    {
        using IncrementalHash all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string path in paths.OrderBy(p => Path.GetFileName(p), StringComparer.Ordinal))
        {
            try
            {
                using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 0, FileOptions.SequentialScan);
                AppendText(all, Path.GetFileName(path));
                all.AppendData(SHA256.HashData(stream));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new DvpException($"{path} cannot be read: {e.Message}", e);
            }
        }

        return Text(all.GetHashAndReset());
    }

    /// <summary>The fingerprint of bytes.</summary>
    public static string OfBytes(ReadOnlySpan<byte> bytes) => Text(SHA256.HashData(bytes));

    private static byte[] OfTensor(ITensorSet tensors, string name)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        AppendText(hash, name);
        AppendText(hash, SafetensorsHeader.TypeName(tensors.TypeOf(name)));
        AppendText(hash, TensorShape.Format(tensors.ShapeOf(name)));
        TensorBytes.ForEachPart(tensors, name, hash.AppendData);
        return hash.GetHashAndReset();
    }

    private static void AppendText(IncrementalHash hash, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        hash.AppendData(length);
        hash.AppendData(bytes);
    }

    /// <summary>Keys sorted, no white space, strings decoded and escaped in one way, numbers as they are written.</summary>
    private static void WriteCanonical(JsonElement element, StringBuilder text, bool top)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                text.Append('{');
                foreach (JsonProperty property in element.EnumerateObject().OrderBy(p => p.Name, StringComparer.Ordinal))
                {
                    if (!top || !s_toolKeys.Contains(property.Name))
                    {
                        text.Append('"').Append(JsonEncodedText.Encode(property.Name)).Append("\":");
                        WriteCanonical(property.Value, text, top: false);
                        text.Append(',');
                    }
                }

                text.Append('}');
                break;
            case JsonValueKind.Array:
                text.Append('[');
                foreach (JsonElement item in element.EnumerateArray())
                {
                    WriteCanonical(item, text, top: false);
                    text.Append(',');
                }

                text.Append(']');
                break;
            case JsonValueKind.String:
                text.Append('"').Append(JsonEncodedText.Encode(element.GetString()!)).Append('"');
                break;
            default:
                text.Append(element.GetRawText());
                break;
        }
    }

    private static string Text(byte[] hash) => "sha256:" + Convert.ToHexStringLower(hash);
}
