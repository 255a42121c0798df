using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using Dvp.Engine.Tensors;
using Microsoft.Win32.SafeHandles;

namespace Dvp.Engine.IO;

/// <summary>
/// A safetensors file, mapped into memory: opening reads the header only, and pages of a tensor are read when it is.
/// </summary>
/// <remarks>
/// Header and offsets are checked completely when the file is opened; no size from the file is trusted before. The file must not be
/// shortened in place while it is open (replacing it by a rename, as <see cref="SafetensorsWriter"/> does, is safe).
/// Reading from several threads at once is safe.
/// </remarks>
public sealed unsafe class SafetensorsFile : ITensorSet, IMappedTensors, IDisposable
{
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly SafeMemoryMappedViewHandle _handle;
    private readonly byte* _start;
    private bool _disposed;

    /// <summary>Opens and checks a file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="DvpException">The file is missing, unreadable, truncated or damaged; the message names file and tensor.</exception>
    public SafetensorsFile(string path)
    {
        FilePath = path;
        if (!File.Exists(path))
        {
            throw new DvpException(Directory.Exists(path)
                ? $"{path} is a folder; a .safetensors file is needed."
                : $"{path} does not exist.");
        }

        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
            long length = stream.Length;
            int headerLength = ReadHeaderLength(stream, length);
            _map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, true);
            _view = _map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            _handle = _view.SafeMemoryMappedViewHandle;
            byte* start = null;
            _handle.AcquirePointer(ref start);
            _start = start + _view.PointerOffset;
            SafetensorsHeader header = SafetensorsHeader.Parse(new ReadOnlySpan<byte>(_start + 8, headerLength), length, path);
            Entries = header.Entries;
            Metadata = header.Metadata;
            Names = [.. Entries.Values.OrderBy(e => e.Offset).ThenBy(e => e.Length).Select(e => e.Name)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Close();
            throw new DvpException($"{path} cannot be read: {e.Message}", e);
        }
        catch
        {
            Close();
            throw;
        }
    }

    /// <summary>The file as it was given.</summary>
    public string FilePath { get; }

    /// <summary>Names in the order of their data.</summary>
    public IReadOnlyCollection<string> Names { get; }

    /// <summary>Type, shape and byte range of every tensor.</summary>
    public IReadOnlyDictionary<string, TensorEntry> Entries { get; }

    /// <summary>The file's own <c>__metadata__</c>; empty where it has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    string ITensorSet.Origin => FilePath;

    /// <summary>What the file says of a tensor.</summary>
    /// <exception cref="DvpException">The file has no such tensor.</exception>
    public TensorEntry this[string name] => Entries.TryGetValue(name, out TensorEntry? entry)
        ? entry
        : throw new DvpException($"{FilePath} has no tensor {name}.");

    /// <inheritdoc/>
    public bool Contains(string name) => Entries.ContainsKey(name);

    /// <inheritdoc/>
    public ElementType TypeOf(string name) => this[name].Type;

    /// <inheritdoc/>
    public ReadOnlySpan<int> ShapeOf(string name) => this[name].Shape;

    /// <summary>The bytes of a tensor, in the mapped file: not to be used after the file is disposed.</summary>
    /// <exception cref="DvpException">The tensor is missing, or larger than a span can hold (2 GiB): read it in parts then.</exception>
    public ReadOnlySpan<byte> Bytes(string name)
    {
        TensorEntry entry = this[name];
        return entry.Length <= int.MaxValue
            ? Bytes(entry, 0, (int)entry.Length)
            : throw new DvpException($"{FilePath}: tensor {name} has {entry.Length} bytes, more than one read can hold; read it in parts.");
    }

    /// <summary>A part of the bytes of a tensor, in the mapped file: not to be used after the file is disposed.</summary>
    /// <param name="entry">A tensor of this file.</param>
    /// <param name="offset">First byte, counted from the tensor's own.</param>
    /// <param name="length">Number of bytes.</param>
    public ReadOnlySpan<byte> Bytes(TensorEntry entry, long offset, int length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (offset < 0 || length < 0 || offset > entry.Length - length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset + length} are not part of {entry}.");
        }

        return new ReadOnlySpan<byte>(_start + entry.Offset + offset, length);
    }

    ReadOnlySpan<byte> IMappedTensors.Bytes(string name, long offset, int length) => Bytes(this[name], offset, length);

    /// <inheritdoc/>
    public void ReadFloats(string name, Span<float> destination)
    {
        TensorEntry entry = this[name];
        CheckAll(entry, destination.Length);
        ReadFloats(entry, 0, destination);
    }

    /// <summary>Reads some elements of a floating-point tensor as float32 (f16 and bf16 widened exactly, f64 rounded to nearest).</summary>
    /// <param name="entry">A tensor of this file.</param>
    /// <param name="start">First element.</param>
    /// <param name="destination">As many elements as are wanted.</param>
    public void ReadFloats(TensorEntry entry, long start, Span<float> destination)
    {
        if (!entry.Type.IsFloat())
        {
            throw new DvpException($"{FilePath}: tensor {entry.Name} holds {entry.Type}; floating-point numbers are needed.");
        }

        if (start < 0 || start > entry.Count - destination.Length)
        {
            throw new ArgumentOutOfRangeException(
                nameof(start), $"Elements {start} to {start + destination.Length} are not part of {entry}.");
        }

        int size = entry.Type.Size();
        for (int done = 0; done < destination.Length;)
        {
            int part = Math.Min(destination.Length - done, ElementConversion.ChunkElements);
            ElementConversion.ToFloats(entry.Type, Bytes(entry, (start + done) * size, part * size), destination.Slice(done, part));
            done += part;
        }
    }

    /// <inheritdoc/>
    public void ReadDoubles(string name, Span<double> destination)
    {
        TensorEntry entry = this[name];
        CheckAll(entry, destination.Length);
        int size = entry.Type.Size();
        for (int done = 0; done < destination.Length;)
        {
            int part = Math.Min(destination.Length - done, ElementConversion.ChunkElements);
            ElementConversion.ToDoubles(entry.Type, Bytes(entry, (long)done * size, part * size), destination.Slice(done, part));
            done += part;
        }
    }

    /// <inheritdoc/>
    public long[] ReadInt64(string name)
    {
        TensorEntry entry = this[name];
        if (entry.Type.IsFloat())
        {
            throw new DvpException($"{FilePath}: tensor {name} holds {entry.Type}; integers are needed.");
        }

        ReadOnlySpan<byte> bytes = Bytes(name);
        long[] values = new long[entry.Count];
        ElementConversion.ToInt64(entry.Type, bytes, values);
        return values;
    }

    /// <summary>Unmaps the file.</summary>
    public void Dispose() => Close();

    private static int ReadHeaderLength(FileStream stream, long fileLength)
    {
        Span<byte> prefix = stackalloc byte[8];
        if (fileLength < 8 || stream.ReadAtLeast(prefix, 8, throwOnEndOfStream: false) < 8)
        {
            throw new DvpException($"{stream.Name} has {fileLength} bytes, too few for a safetensors file; get it again.");
        }

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > SafetensorsHeader.MaximumLength)
        {
            throw new DvpException($"{stream.Name} is not a safetensors file: its header would have {length} bytes, "
                + $"the limit is {SafetensorsHeader.MaximumLength}.");
        }

        if (length < 2 || length > (ulong)(fileLength - 8))
        {
            throw new DvpException($"{stream.Name} is truncated or no safetensors file: its header should have {length} bytes, "
                + $"the file has {fileLength}; get it again.");
        }

        return (int)length;
    }

    private void CheckAll(TensorEntry entry, int length)
    {
        if (length != entry.Count)
        {
            throw new ArgumentException($"{FilePath}: tensor {entry.Name} has {entry.Count} elements, the destination {length}.");
        }
    }

    private void Close()
    {
        if (!_disposed)
        {
            _disposed = true;
            if (_start is not null)
            {
                _handle.ReleasePointer();
            }

            _view?.Dispose();
            _map?.Dispose();
        }
    }
}
