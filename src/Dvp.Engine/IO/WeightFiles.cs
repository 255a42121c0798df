using System.Text.Json;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>
/// The weights of a folder as one set: <c>model.safetensors</c>, or the shards that <c>model.safetensors.index.json</c> lists.
/// </summary>
public sealed class WeightFiles : ITensorSet, IMappedTensors, IDisposable
{
    private readonly Dictionary<string, SafetensorsFile> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SafetensorsFile> _byName = new(StringComparer.Ordinal);
    private readonly List<string> _names = [];

    private WeightFiles(string origin) => Origin = origin;

    /// <summary>The folder, or the one file, as it was given.</summary>
    public string Origin { get; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => _names;

    /// <summary>The files, in the order of their names.</summary>
    public IReadOnlyList<string> FilePaths => [.. _files.Values.Select(f => f.FilePath)];

    /// <summary>The <c>__metadata__</c> of the first file.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _files.Values.First().Metadata;

    /// <summary>Opens the weights of a folder.</summary>
    /// <param name="path">A folder, or one .safetensors file.</param>
    /// <param name="stem">First part of the files' names: <c>model</c>, for a trained DVP <c>dvp</c>.</param>
    /// <exception cref="DvpException">
    /// There are no weights, a shard is missing (all missing ones are named), a shard lacks a tensor that the index promises, or a file is
    /// damaged.
    /// </exception>
    public static WeightFiles Open(string path, string stem = "model")
    {
        WeightFiles weights = new(path);
        try
        {
            if (File.Exists(path))
            {
                weights.AddAll(path);
                return weights;
            }

            string folder = AtomicFolder.Resolve(path);
            string single = Path.Combine(folder, stem + ".safetensors");
            string index = single + ".index.json";
            if (File.Exists(single))
            {
                weights.AddAll(single);
            }
            else if (File.Exists(index))
            {
                weights.AddShards(folder, index);
            }
            else
            {
                bool pickled = Directory.EnumerateFiles(folder, "pytorch_model*.bin").Any();
                throw new DvpException($"{path} has no weights: neither {stem}.safetensors nor {stem}.safetensors.index.json is there"
                    + (pickled ? "; pytorch_model.bin is not read, save the model as safetensors." : "."));
            }

            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Contains(string name) => _byName.ContainsKey(name);

    /// <summary>The file that holds a tensor.</summary>
    public string FileOf(string name) => Find(name).FilePath;

    /// <summary>What its file says of a tensor.</summary>
    public TensorEntry Entry(string name) => Find(name)[name];

    /// <inheritdoc/>
    public ElementType TypeOf(string name) => Entry(name).Type;

    /// <inheritdoc/>
    public ReadOnlySpan<int> ShapeOf(string name) => Entry(name).Shape;

    /// <inheritdoc/>
    public void ReadFloats(string name, Span<float> destination) => Find(name).ReadFloats(name, destination);

    /// <inheritdoc/>
    public void ReadDoubles(string name, Span<double> destination) => Find(name).ReadDoubles(name, destination);

    /// <inheritdoc/>
    public long[] ReadInt64(string name) => Find(name).ReadInt64(name);

    /// <summary>Whether two tensors have the same type, shape and bytes.</summary>
    public bool AreEqual(string name, string other) => TensorBytes.AreEqual(this, name, other);

    /// <summary>A part of the bytes of a tensor, in the mapped file: not to be used after the set is disposed.</summary>
    public ReadOnlySpan<byte> Bytes(string name, long offset, int length)
    {
        SafetensorsFile file = Find(name);
        return file.Bytes(file[name], offset, length);
    }

    /// <summary>Unmaps the files.</summary>
    public void Dispose()
    {
        foreach (SafetensorsFile file in _files.Values)
        {
            file.Dispose();
        }
    }

    private void AddAll(string path)
    {
        SafetensorsFile file = new(path);
        _files.Add(Path.GetFileName(path), file);
        foreach (string name in file.Names)
        {
            _byName.Add(name, file);
            _names.Add(name);
        }
    }

    private void AddShards(string folder, string index)
    {
        Dictionary<string, string> map = ReadIndex(index);
        string[] shards = [.. map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        string[] missing = [.. shards.Where(s => !File.Exists(Path.Combine(folder, s)))];
        if (missing.Length > 0)
        {
            throw new DvpException(
                $"{folder} lacks {string.Join(", ", missing)}, which {Path.GetFileName(index)} lists; get the missing files.");
        }

        foreach (string shard in shards)
        {
            _files.Add(shard, new SafetensorsFile(Path.Combine(folder, shard)));
        }

        string[] broken = [.. map.Where(m => !_files[m.Value].Contains(m.Key)).Select(m => $"{m.Key} in {m.Value}")];
        if (broken.Length > 0)
        {
            throw new DvpException(
                $"{index} does not fit its files: there is no tensor {string.Join(", no ", broken)}; get all files from one place.");
        }

        foreach ((string shard, SafetensorsFile file) in _files)
        {
            // A tensor that the index does not list is part of the set too: a strict load is to see it. The index chooses between copies.
            foreach (string name in file.Names)
            {
                if (!map.TryGetValue(name, out string? chosen) ? _byName.TryAdd(name, file) : chosen == shard)
                {
                    _byName[name] = file;
                    _names.Add(name);
                }
            }
        }
    }

    private static Dictionary<string, string> ReadIndex(string index)
    {
        ConfigFile json = ConfigFile.Load(index);
        ConfigFile listed = json.Section("weight_map")
            ?? throw json.Error("weight_map", "is missing; it must list the file of every tensor");
        Dictionary<string, string> map = new(StringComparer.Ordinal);
        foreach (JsonProperty property in listed.Root.EnumerateObject())
        {
            string? file = property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString() : null;
            if (file is null or "" or "." or ".." || file.AsSpan().IndexOfAny('/', '\\') >= 0)
            {
                throw listed.Error(property.Name, $"must be the name of a file in the same folder, found {property.Value.GetRawText()}");
            }

            map.Add(property.Name, file);
        }

        if (map.Count == 0)
        {
            throw new DvpException($"{index}: weight_map lists no tensor.");
        }

        return map;
    }

    private SafetensorsFile Find(string name) =>
        _byName.TryGetValue(name, out SafetensorsFile? file) ? file : throw new DvpException($"{Origin} has no tensor {name}.");
}

/// <summary>A set whose stored bytes can be looked at in place.</summary>
internal interface IMappedTensors
{
    /// <summary>A part of a tensor's stored bytes.</summary>
    ReadOnlySpan<byte> Bytes(string name, long offset, int length);
}
