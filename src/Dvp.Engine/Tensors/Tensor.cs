using System.Globalization;

namespace Dvp.Engine.Tensors;

/// <summary>
/// A typed view of device memory: rows of contiguous elements, a fixed stride apart.
/// </summary>
/// <remarks>
/// The last axis is contiguous; all axes before it together count the rows. Two kinds of view cover what the models need
/// without a copy: some columns of every row (query, key and value in one product), and one row of every sequence (the position
/// that the head reads). Tensors own nothing: the arena, the parameters and the caller own the buffers.
/// </remarks>
public sealed class Tensor
{
    private readonly int[] _shape;

    /// <summary>Makes a view of a buffer.</summary>
    /// <param name="buffer">The memory.</param>
    /// <param name="byteOffset">Where the first element lies.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Extents, outermost first; empty for a scalar.</param>
    /// <param name="rowStride">Elements from one row to the next; 0 for contiguous rows.</param>
    /// <exception cref="ArgumentException">The view does not lie inside the buffer.</exception>
    public Tensor(DeviceBuffer buffer, long byteOffset, ElementType type, ReadOnlySpan<int> shape, int rowStride = 0)
    {
        Buffer = buffer;
        ByteOffset = byteOffset;
        Type = type;
        _shape = shape.ToArray();
        Columns = shape.Length == 0 ? 1 : shape[^1];
        long rows = 1;
        for (int axis = 0; axis < shape.Length - 1; axis++)
        {
            rows *= shape[axis];
        }

        Rows = checked((int)rows);
        RowStride = rowStride == 0 ? Columns : rowStride;
        long last = rows == 0 || Columns == 0 ? 0 : ((rows - 1) * RowStride) + Columns;
        if (byteOffset < 0 || byteOffset + (last * type.Size()) > buffer.Bytes)
        {
            throw new ArgumentException($"A tensor {this} at byte {byteOffset} does not fit its buffer of {buffer.Bytes} bytes.", nameof(shape));
        }
    }

    /// <summary>The memory that the tensor views.</summary>
    public DeviceBuffer Buffer { get; }

    /// <summary>Offset of the first element in the buffer, in bytes.</summary>
    public long ByteOffset { get; }

    /// <summary>Type of the elements.</summary>
    public ElementType Type { get; }

    /// <summary>Extents, outermost first.</summary>
    public ReadOnlySpan<int> Shape => _shape;

    /// <summary>Product of all extents but the last.</summary>
    public int Rows { get; }

    /// <summary>The last extent: elements of a row.</summary>
    public int Columns { get; }

    /// <summary>Elements from one row to the next.</summary>
    public int RowStride { get; }

    /// <summary>Number of elements.</summary>
    public long Count => (long)Rows * Columns;

    /// <summary>Whether the elements lie without gaps.</summary>
    public bool IsContiguous => RowStride == Columns || Rows <= 1;

    /// <summary>Device address of the first element.</summary>
    public nint Address => Buffer.Address + (nint)ByteOffset;

    /// <summary>Extent of an axis; negative axes count from the end.</summary>
    public int Extent(int axis) => _shape[axis < 0 ? axis + _shape.Length : axis];

    /// <summary>The same rows under another shape with the same last extent, or, where the memory has no gaps, any shape of equal size.</summary>
    public Tensor Reshape(params ReadOnlySpan<int> shape)
    {
        Tensor view = new(Buffer, ByteOffset, Type, shape, shape.Length > 0 && shape[^1] == Columns ? RowStride : 0);
        if (view.Count != Count || (view.Columns != Columns && !IsContiguous))
        {
            throw new ArgumentException($"A tensor {this} cannot be seen as {view}.", nameof(shape));
        }

        return view;
    }

    /// <summary>Columns [start, start + count) of every row.</summary>
    public Tensor SliceColumns(int start, int count)
    {
        int[] shape = [.. _shape];
        shape[^1] = count;
        return new Tensor(Buffer, ByteOffset + ((long)start * Type.Size()), Type, shape, RowStride);
    }

    /// <summary>Rows [start, start + count) as (count, columns).</summary>
    public Tensor SliceRows(int start, int count) =>
        new(Buffer, ByteOffset + ((long)start * RowStride * Type.Size()), Type, [count, Columns], RowStride);

    /// <summary>Of (B, T, C), token <paramref name="position"/> of every sequence as (B, C).</summary>
    public Tensor Token(int position)
    {
        if (_shape.Length != 3 || (uint)position >= (uint)_shape[1])
        {
            throw new ArgumentException($"A tensor {this} has no token {position} to read.", nameof(position));
        }

        long offset = ByteOffset + ((long)position * RowStride * Type.Size());
        return new Tensor(Buffer, offset, Type, [_shape[0], _shape[2]], RowStride * _shape[1]);
    }

    /// <summary>Whether both views start at the same element of the same buffer.</summary>
    public bool SharesStartWith(Tensor other) => ReferenceEquals(Buffer, other.Buffer) && ByteOffset == other.ByteOffset;

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Type}({string.Join(", ", _shape.Select(e => e.ToString(CultureInfo.InvariantCulture)))})";
}
