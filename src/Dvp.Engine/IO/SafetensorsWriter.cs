using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>A tensor to be written: what it is, and how its bytes are made when their turn comes.</summary>
public sealed class TensorContent
{
    /// <summary>Makes a tensor whose bytes are written by a delegate.</summary>
    /// <param name="name">Name in the file.</param>
    /// <param name="type">Type of the stored elements.</param>
    /// <param name="shape">Extents, outermost first; empty for a scalar.</param>
    /// <param name="write">Writes exactly the tensor's bytes, little-endian, row by row.</param>
    public TensorContent(string name, ElementType type, ReadOnlySpan<int> shape, Action<Stream> write)
    {
        Name = name;
        Type = type;
        Shape = shape.ToArray();
        Write = write;
        if (name == SafetensorsHeader.MetadataName || Shape.Any(extent => extent < 0))
        {
            throw new ArgumentException($"A tensor {name} {TensorShape.Format(shape)} cannot be written.");
        }

        Length = checked(TensorShape.Count(shape) * type.Size());
    }

    /// <summary>Name in the file.</summary>
    public string Name { get; }

    /// <summary>Type of the stored elements.</summary>
    public ElementType Type { get; }

    /// <summary>Extents, outermost first; empty for a scalar. Not to be changed.</summary>
    public int[] Shape { get; }

    /// <summary>Bytes of the elements.</summary>
    public long Length { get; }

    /// <summary>Writes the bytes.</summary>
    internal Action<Stream> Write { get; }

    /// <summary>A tensor of ready bytes.</summary>
    public static TensorContent FromBytes(string name, ElementType type, ReadOnlySpan<int> shape, ReadOnlyMemory<byte> bytes)
    {
        TensorContent content = new(name, type, shape, stream => stream.Write(bytes.Span));
        return content.Length == bytes.Length
            ? content
            : throw new ArgumentException(
                $"Tensor {name} {TensorShape.Format(shape)} takes {content.Length} bytes, {bytes.Length} were given.");
    }

    /// <summary>A tensor of float32 values, stored as they are or rounded to nearest in a narrower type.</summary>
    public static TensorContent FromFloats(
        string name, ReadOnlySpan<int> shape, ReadOnlyMemory<float> values, ElementType storage = ElementType.F32)
    {
        CheckCount(name, shape, values.Length);
        return new TensorContent(name, storage, shape, stream =>
        {
            int size = storage.Size();
            byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Min(values.Length, 1 << 16) * size);
            for (int done = 0; done < values.Length;)
            {
                int part = Math.Min(values.Length - done, 1 << 16);
                ElementConversion.FromFloats(values.Span.Slice(done, part), storage, buffer.AsSpan(0, part * size));
                stream.Write(buffer, 0, part * size);
                done += part;
            }

            ArrayPool<byte>.Shared.Return(buffer);
        });
    }

    /// <summary>A tensor of float64 values.</summary>
    public static TensorContent FromDoubles(string name, ReadOnlySpan<int> shape, ReadOnlyMemory<double> values)
    {
        CheckCount(name, shape, values.Length);
        return new TensorContent(name, ElementType.F64, shape, stream => WriteParts(stream, values));
    }

    /// <summary>A tensor of integers.</summary>
    /// <param name="name">Name in the file.</param>
    /// <param name="shape">Extents, outermost first.</param>
    /// <param name="values">The values, row by row.</param>
    /// <param name="storage">An integer type or booleans; a value that does not fit is an error when the file is written.</param>
    public static TensorContent FromInt64(
        string name, ReadOnlySpan<int> shape, ReadOnlyMemory<long> values, ElementType storage = ElementType.I64)
    {
        CheckCount(name, shape, values.Length);
        if (storage == ElementType.I64)
        {
            return new TensorContent(name, storage, shape, stream => WriteParts(stream, values));
        }

        return new TensorContent(name, storage, shape, stream =>
        {
            byte[] bytes = new byte[values.Length * storage.Size()];
            ElementConversion.FromInt64(values.Span, storage, bytes);
            stream.Write(bytes);
        });
    }

    private static void WriteParts<T>(Stream stream, ReadOnlyMemory<T> values)
        where T : struct
    {
        for (int done = 0; done < values.Length; done += ElementConversion.ChunkElements)
        {
            int part = Math.Min(values.Length - done, ElementConversion.ChunkElements);
            stream.Write(MemoryMarshal.AsBytes(values.Span.Slice(done, part)));
        }
    }

    private static void CheckCount(string name, ReadOnlySpan<int> shape, int count)
    {
        if (TensorShape.Count(shape) != count)
        {
            throw new ArgumentException($"Tensor {name} {TensorShape.Format(shape)} was given {count} values.");
        }
    }
}

/// <summary>
/// Writes safetensors files: atomically (see <see cref="AtomicFile"/>), the same bytes for the same tensors whatever order they are
/// given in (wider types first, so that all data is aligned, then by name), the header padded to a multiple of 8 bytes.
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>Writes a file.</summary>
    /// <param name="path">The file; an earlier one is replaced when the new one is whole.</param>
    /// <param name="tensors">The tensors; contents are asked for one after another, so none but the current one needs memory.</param>
    /// <param name="metadata">Strings kept in the file. Files for the transformers library need <c>format</c>: <c>pt</c>.</param>
    /// <exception cref="DvpException">The file cannot be written; the earlier file is unchanged.</exception>
    /// <exception cref="ArgumentException">Two tensors have one name.</exception>
    public static void Write(string path, IEnumerable<TensorContent> tensors, IReadOnlyDictionary<string, string>? metadata = null) =>
        AtomicFile.Write(path, stream => Write(stream, tensors, metadata));

    /// <summary>Writes the file's bytes to a stream.</summary>
    /// <param name="stream">Where they go.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="metadata">Strings kept in the file.</param>
    public static void Write(Stream stream, IEnumerable<TensorContent> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        TensorContent[] ordered = [.. tensors.OrderByDescending(t => t.Type.Size()).ThenBy(t => t.Name, StringComparer.Ordinal)];
        CheckNames(ordered);
        ReadOnlySpan<byte> header = Header(ordered, metadata);
        int padding = -header.Length & 7;
        Span<byte> prefix = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, header.Length + padding);
        stream.Write(prefix);
        stream.Write(header);
        stream.Write("        "u8[..padding]);
        foreach (TensorContent tensor in ordered)
        {
            CountingStream counting = new(stream, tensor);
            tensor.Write(counting);
            counting.CheckComplete();
        }
    }

    private static void CheckNames(TensorContent[] tensors)
    {
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach (TensorContent tensor in tensors)
        {
            if (!names.Add(tensor.Name))
            {
                throw new ArgumentException($"Tensor {tensor.Name} was given twice.", nameof(tensors));
            }
        }
    }

    private static ReadOnlySpan<byte> Header(TensorContent[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject(SafetensorsHeader.MetadataName);
                foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            long offset = 0;
            foreach (TensorContent tensor in tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", SafetensorsHeader.TypeName(tensor.Type));
                json.WriteStartArray("shape");
                foreach (int extent in tensor.Shape)
                {
                    json.WriteNumberValue(extent);
                }

                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                offset = checked(offset + tensor.Length);
                json.WriteNumberValue(offset);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return buffer.WrittenSpan;
    }

    /// <summary>Lets a tensor's delegate write exactly the tensor's bytes.</summary>
    private sealed class CountingStream(Stream inner, TensorContent tensor) : Stream
    {
        private long _written;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => _written;
            set => throw new NotSupportedException();
        }

        public void CheckComplete()
        {
            if (_written != tensor.Length)
            {
                throw new InvalidOperationException($"Tensor {tensor.Name} takes {tensor.Length} bytes; {_written} were written.");
            }
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _written += buffer.Length;
            if (_written > tensor.Length)
            {
                throw new InvalidOperationException($"Tensor {tensor.Name} takes {tensor.Length} bytes; at least {_written} were written.");
            }

            inner.Write(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
            // The file is flushed once, when it is whole.
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
