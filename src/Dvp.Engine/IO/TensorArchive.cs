using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>
/// A named set of tensors in memory: the inputs and outputs of commands and tests. Floating-point tensors of 16 and 32 bits are held as
/// float[], F64 as double[], I64, I32, I16 and I8 as long[], U8 and Bool as byte[]; each keeps its storage type for saving.
/// </summary>
public sealed class TensorArchive : ITensorSet
{
    private readonly Dictionary<string, Item> _items = new(StringComparer.Ordinal);
    private readonly List<string> _names = [];

    /// <summary>Makes an empty archive.</summary>
    /// <param name="origin">Where it comes from, for messages.</param>
    public TensorArchive(string origin = "the tensors in memory") => Origin = origin;

    /// <inheritdoc/>
    public string Origin { get; }

    /// <summary>Names in the order in which they were added.</summary>
    public IReadOnlyCollection<string> Names => _names;

    /// <summary>Strings kept in the file.</summary>
    public IDictionary<string, string> Metadata { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Reads a safetensors file into memory.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="DvpException">The file is missing or damaged, or a tensor is too large for an array.</exception>
    public static TensorArchive Load(string path)
    {
        using SafetensorsFile file = new(path);
        TensorArchive archive = new(path);
        foreach ((string key, string value) in file.Metadata)
        {
            archive.Metadata[key] = value;
        }

        foreach (string name in file.Names)
        {
            TensorEntry entry = file[name];
            if (entry.Count > Array.MaxLength)
            {
                throw new DvpException($"{path}: tensor {name} {entry} is too large to be held in memory as one array.");
            }

            archive.Add(name, entry.Type, entry.Shape, Read(file, entry));
        }

        return archive;
    }

    /// <summary>Writes a safetensors file, see <see cref="SafetensorsWriter"/>.</summary>
    public void Save(string path) => SafetensorsWriter.Write(path, _names.Select(ToContent), Metadata.AsReadOnly());

    /// <summary>Adds float32 values; an earlier tensor of the name is replaced.</summary>
    /// <param name="name">Name of the tensor.</param>
    /// <param name="values">The values, row by row; kept, not copied.</param>
    /// <param name="shape">Extents, outermost first; none for a scalar.</param>
    public void Add(string name, float[] values, params ReadOnlySpan<int> shape) => Add(name, ElementType.F32, shape, values);

    /// <summary>Adds values that are saved in a 16-bit type.</summary>
    /// <param name="name">Name of the tensor.</param>
    /// <param name="storage">F32, BF16 or F16.</param>
    /// <param name="values">The values, row by row; kept, not copied; rounded when saved.</param>
    /// <param name="shape">Extents, outermost first; none for a scalar.</param>
    public void Add(string name, ElementType storage, float[] values, params ReadOnlySpan<int> shape) => Add(name, storage, shape, values);

    /// <summary>Adds float64 values.</summary>
    public void Add(string name, double[] values, params ReadOnlySpan<int> shape) => Add(name, ElementType.F64, shape, values);

    /// <summary>Adds 64-bit integers.</summary>
    public void Add(string name, long[] values, params ReadOnlySpan<int> shape) => Add(name, ElementType.I64, shape, values);

    /// <summary>Adds bytes.</summary>
    public void Add(string name, byte[] values, params ReadOnlySpan<int> shape) => Add(name, ElementType.U8, shape, values);

    /// <inheritdoc/>
    public bool Contains(string name) => _items.ContainsKey(name);

    /// <inheritdoc/>
    public ElementType TypeOf(string name) => Get(name).Type;

    /// <inheritdoc/>
    public ReadOnlySpan<int> ShapeOf(string name) => Get(name).Shape;

    /// <summary>The values of a tensor of 16- or 32-bit floating-point numbers; the array itself, not a copy.</summary>
    public float[] Floats(string name) => Data<float[]>(name, "16- or 32-bit floating-point numbers");

    /// <summary>The values of an F64 tensor; the array itself, not a copy.</summary>
    public double[] Doubles(string name) => Data<double[]>(name, "F64");

    /// <summary>The values of an integer tensor (I64, I32, I16, I8); the array itself, not a copy.</summary>
    public long[] Int64s(string name) => Data<long[]>(name, "signed integers");

    /// <summary>The values of a U8 or Bool tensor; the array itself, not a copy.</summary>
    public byte[] Bytes(string name) => Data<byte[]>(name, "U8 or Bool");

    /// <inheritdoc/>
    public void ReadFloats(string name, Span<float> destination)
    {
        Item item = Get(name);
        CheckCount(name, item, destination.Length);
        switch (item.Data)
        {
            case float[] floats:
                floats.CopyTo(destination);
                break;
            case double[] doubles:
                ElementConversion.ToFloats(ElementType.F64, MemoryMarshal.AsBytes(doubles.AsSpan()), destination);
                break;
            default:
                throw WrongType(name, item, "floating-point numbers");
        }
    }

    /// <inheritdoc/>
    public void ReadDoubles(string name, Span<double> destination)
    {
        Item item = Get(name);
        CheckCount(name, item, destination.Length);
        switch (item.Data)
        {
            case double[] doubles:
                doubles.CopyTo(destination);
                break;
            case float[] floats:
                ElementConversion.ToDoubles(ElementType.F32, MemoryMarshal.AsBytes(floats.AsSpan()), destination);
                break;
            case long[] integers:
                ElementConversion.ToDoubles(ElementType.I64, MemoryMarshal.AsBytes(integers.AsSpan()), destination);
                break;
            default:
                ElementConversion.ToDoubles(ElementType.U8, (byte[])item.Data, destination);
                break;
        }
    }

    /// <summary>Integer or boolean values; a copy.</summary>
    public long[] ReadInt64(string name)
    {
        Item item = Get(name);
        return item.Data switch
        {
            long[] integers => [.. integers],
            byte[] bytes => [.. bytes.Select(b => (long)b)],
            _ => throw WrongType(name, item, "integers"),
        };
    }

    private static Array Read(SafetensorsFile file, TensorEntry entry)
    {
        switch (entry.Type)
        {
            case ElementType.F64:
                double[] doubles = new double[entry.Count];
                file.ReadDoubles(entry.Name, doubles);
                return doubles;
            case ElementType.F32 or ElementType.BF16 or ElementType.F16:
                float[] floats = new float[entry.Count];
                file.ReadFloats(entry.Name, floats);
                return floats;
            case ElementType.U8 or ElementType.Bool:
                return file.Bytes(entry.Name).ToArray();
            default:
                return file.ReadInt64(entry.Name);
        }
    }

    private TensorContent ToContent(string name)
    {
        Item item = _items[name];
        return item.Data switch
        {
            float[] floats => TensorContent.FromFloats(name, item.Shape, floats, item.Type),
            double[] doubles => TensorContent.FromDoubles(name, item.Shape, doubles),
            long[] integers => TensorContent.FromInt64(name, item.Shape, integers, item.Type),
            _ => TensorContent.FromBytes(name, item.Type, item.Shape, (byte[])item.Data),
        };
    }

    private void Add(string name, ElementType type, ReadOnlySpan<int> shape, Array data)
    {
        if (TensorShape.Count(shape) != data.Length)
        {
            throw new ArgumentException($"Tensor {name} {TensorShape.Format(shape)} was given {data.Length} values.");
        }

        if (!_items.ContainsKey(name))
        {
            _names.Add(name);
        }

        _items[name] = new Item(type, shape.ToArray(), data);
    }

    private Item Get(string name) =>
        _items.TryGetValue(name, out Item? item) ? item : throw new DvpException($"{Origin}: there is no tensor {name}.");

    private T Data<T>(string name, string needed)
        where T : class
    {
        Item item = Get(name);
        return item.Data as T ?? throw WrongType(name, item, needed);
    }

    private DvpException WrongType(string name, Item item, string needed) =>
        new($"{Origin}: tensor {name} holds {item.Type}; {needed} are needed.");

    [SuppressMessage("Usage", "CA2208", Justification = "The destination's length is at fault, whoever passed it.")]
    private void CheckCount(string name, Item item, int length)
    {
        if (item.Data.Length != length)
        {
            throw new ArgumentException(
                $"{Origin}: tensor {name} has {item.Data.Length} elements, the destination {length}.", "destination");
        }
    }

    private sealed record Item(ElementType Type, int[] Shape, Array Data);
}
