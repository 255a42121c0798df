using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>What a file says of one tensor.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="Type">Type of the stored elements.</param>
/// <param name="Shape">Extents, outermost first; empty for a scalar. Not to be changed.</param>
/// <param name="Offset">First byte of the elements, counted from the start of the file.</param>
/// <param name="Length">Bytes of the elements.</param>
public sealed record TensorEntry(string Name, ElementType Type, int[] Shape, long Offset, long Length)
{
    /// <summary>Number of elements.</summary>
    public long Count => Length / Type.Size();

    /// <summary>"F32 (30522, 768)".</summary>
    public override string ToString() => $"{Type} {TensorShape.Format(Shape)}";
}

/// <summary>A named set of tensors that can be read: a file, an archive in memory, the weights of a folder.</summary>
public interface ITensorSet
{
    /// <summary>Where the tensors come from, for messages: a file or folder name.</summary>
    string Origin { get; }

    /// <summary>All names, in the order of the file.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>Whether the set has the tensor.</summary>
    bool Contains(string name);

    /// <summary>Type of a tensor's stored elements.</summary>
    ElementType TypeOf(string name);

    /// <summary>Extents of a tensor, outermost first; empty for a scalar.</summary>
    ReadOnlySpan<int> ShapeOf(string name);

    /// <summary>Reads floating-point elements as float32 (f16 and bf16 widened exactly, f64 rounded to nearest).</summary>
    void ReadFloats(string name, Span<float> destination);

    /// <summary>Reads elements of any type as float64 (64-bit integers beyond 2^53 are rounded).</summary>
    void ReadDoubles(string name, Span<double> destination);

    /// <summary>Reads integer or boolean elements.</summary>
    long[] ReadInt64(string name);
}

/// <summary>Facts about shapes as text and as sizes.</summary>
public static class TensorShape
{
    /// <summary>"(2, 17, 768)"; "()" for a scalar, "(5)" for a vector.</summary>
    public static string Format(ReadOnlySpan<int> shape)
    {
        System.Text.StringBuilder text = new("(");
        for (int axis = 0; axis < shape.Length; axis++)
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{(axis == 0 ? "" : ", ")}{shape[axis]}");
        }

        return text.Append(')').ToString();
    }

    /// <summary>Number of elements; 1 for a scalar.</summary>
    /// <exception cref="OverflowException">The product does not fit 64 bits.</exception>
    public static long Count(ReadOnlySpan<int> shape)
    {
        long count = 1;
        foreach (int extent in shape)
        {
            count = checked(count * extent);
        }

        return count;
    }

    /// <summary>Coordinates of the element at a position in row-major order.</summary>
    public static int[] Coordinates(ReadOnlySpan<int> shape, long position)
    {
        int[] at = new int[shape.Length];
        for (int axis = shape.Length - 1; axis >= 0; axis--)
        {
            at[axis] = (int)(position % shape[axis]);
            position /= shape[axis];
        }

        return at;
    }
}
