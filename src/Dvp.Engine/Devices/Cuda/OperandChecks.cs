using System.Diagnostics.CodeAnalysis;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>What a launcher checks before it launches: a tensor that does not fit would be read or written out of bounds.</summary>
/// <param name="Operation">The operator, as errors name it.</param>
internal readonly record struct OperandChecks(string Operation)
{
    /// <summary>Refuses the operands unless the condition holds.</summary>
    public void Require([DoesNotReturnIf(false)] bool holds, Tensor a, Tensor? b = null)
    {
        if (!holds)
        {
            throw new ArgumentException(b is null ? $"{Operation}: {a} does not fit the operator." : $"{Operation}: {a} does not fit {b}.");
        }
    }

    /// <summary>Both have the same rows and columns; an absent second one fits.</summary>
    public void Equal(Tensor a, Tensor? b)
    {
        if (b is not null)
        {
            Require(a.Rows == b.Rows && a.Columns == b.Columns, a, b);
        }
    }

    /// <summary>A tensor without gaps, of a type and a number of elements.</summary>
    public void Flat(Tensor tensor, ElementType type, long count) =>
        Require(tensor.Type == type && tensor.IsContiguous && tensor.Count == count, tensor);

    /// <summary>A tensor without gaps in the storage type or in f32; says which: 1 for f32.</summary>
    public int Wide(Tensor? tensor, ElementType real)
    {
        if (tensor is null)
        {
            return 0;
        }

        Require((tensor.Type == real || tensor.Type == ElementType.F32) && tensor.IsContiguous, tensor);
        return tensor.Type == ElementType.F32 ? 1 : 0;
    }

    /// <summary>Dropout over so many elements: its state, or factors in the storage type or in f32; says which: 1 for f32.</summary>
    public int Dropout(Dropout? dropout, long count, ElementType real)
    {
        if (dropout is null)
        {
            return 0;
        }

        if (dropout.KeepMask is { } mask)
        {
            Require(mask.Count == count, mask);
            return Wide(mask, real);
        }

        if (dropout.State is not { Type: ElementType.I32, Count: 4, IsContiguous: true })
        {
            throw new ArgumentException($"{Operation}: dropout needs its state, I32 (4), or an explicit mask.");
        }

        return 0;
    }
}
