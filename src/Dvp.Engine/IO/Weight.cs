using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>A tensor that a model asked a <see cref="TensorSource"/> for. Reading checks that every value is a finite number.</summary>
public sealed class Weight
{
    private readonly ITensorSet _tensors;
    private readonly string? _stored;

    internal Weight(ITensorSet tensors, string name, string? stored, ReadOnlySpan<int> shape)
    {
        _tensors = tensors;
        Name = name;
        _stored = stored;
        Shape = shape.ToArray();
        for (int axis = 0; axis < Shape.Length; axis++)
        {
            Shape[axis] = Math.Max(Shape[axis], 0);
        }
    }

    /// <summary>The name that the model asked for, with its prefix.</summary>
    public string Name { get; }

    /// <summary>Shape of the tensor; of a missing one the shape asked for, open extents as 0. Not to be changed.</summary>
    public int[] Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count => TensorShape.Count(Shape);

    /// <summary>Type of the stored elements; F32 for a missing tensor.</summary>
    public ElementType Type => _stored is null ? ElementType.F32 : _tensors.TypeOf(_stored);

    /// <summary>The values as float32.</summary>
    public float[] ToFloats()
    {
        float[] values = new float[Count];
        Read(values);
        return values;
    }

    /// <summary>Reads the values as float32.</summary>
    /// <exception cref="DvpException">A value is NaN or infinite, or the tensor holds integers.</exception>
    public void Read(Span<float> destination)
    {
        if (_stored is null)
        {
            destination.Clear();
            return;
        }

        _tensors.ReadFloats(_stored, destination);
        Check(ElementType.F32, MemoryMarshal.AsBytes(destination), 0);
    }

    /// <summary>Reads the values in a floating-point type of the caller's choice; the stored bytes where it is the same.</summary>
    /// <param name="type">F32, BF16, F16 or F64.</param>
    /// <param name="destination">Count elements of the type.</param>
    /// <exception cref="DvpException">A value is NaN, infinite or beyond the type's range, or the tensor holds integers.</exception>
    public void Read(ElementType type, Span<byte> destination)
    {
        int size = type.Size();
        if (destination.Length != Count * size)
        {
            throw new ArgumentException(
                $"Weight {Name} takes {Count * size} bytes as {type}, the destination has {destination.Length}.", nameof(destination));
        }

        if (_stored is null)
        {
            destination.Clear();
        }
        else if (type == ElementType.F32)
        {
            Read(MemoryMarshal.Cast<byte, float>(destination));
        }
        else if (type == Type && _tensors is IMappedTensors mapped)
        {
            mapped.Bytes(_stored, 0, destination.Length).CopyTo(destination);
            Check(type, destination, 0);
        }
        else if (type == ElementType.F64)
        {
            _tensors.ReadDoubles(_stored, MemoryMarshal.Cast<byte, double>(destination));
            Check(type, destination, 0);
        }
        else
        {
            float[] values = new float[Count];
            Read(values);
            ElementConversion.FromFloats(values, type, destination);
            Check(type, destination, 0);
        }
    }

    private void Check(ElementType type, ReadOnlySpan<byte> bytes, long start)
    {
        int at = FiniteCheck.FirstNotFinite(type, bytes);
        if (at >= 0)
        {
            string file = _tensors is WeightFiles files ? files.FileOf(_stored!) : _tensors.Origin;
            string position = string.Join(", ", TensorShape.Coordinates(Shape, start + at));
            throw new DvpException($"{file}: tensor {_stored} is not finite at [{position}] (read as {type}); "
                + "the weights are damaged or need a wider type.");
        }
    }
}
