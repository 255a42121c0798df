using System.Diagnostics.CodeAnalysis;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>The checks at the head of every launcher: a shape or type that does not fit is a programming error and named as one.</summary>
internal static class CudaShapes
{
    /// <summary>Fails unless the condition holds, naming the operator and the tensors that disagree.</summary>
    /// <exception cref="ArgumentException">It does not hold.</exception>
    public static void Require([DoesNotReturnIf(false)] bool holds, string operation, Tensor a, Tensor? b = null)
    {
        if (!holds)
        {
            throw new ArgumentException(b is null ? $"{operation}: {a} does not fit the operator." : $"{operation}: {a} does not fit {b}.");
        }
    }

    /// <summary>Fails unless both have the same rows and columns; a missing second tensor fits.</summary>
    public static void RequireEqual(Tensor a, Tensor? b, string operation) =>
        Require(b is null || (a.Rows == b.Rows && a.Columns == b.Columns), operation, a, b);

    /// <summary>Fails unless the tensor has the type, no gaps, and so many elements.</summary>
    public static void RequireFlat(Tensor tensor, ElementType type, long count, string operation) =>
        Require(tensor.Type == type && tensor.IsContiguous && tensor.Count == count, operation, tensor);

    /// <summary>Fails unless the tensor is one float; a missing one fits.</summary>
    public static void RequireNumber(Tensor? tensor, string operation) =>
        Require(tensor is null || (tensor.Type == ElementType.F32 && tensor.Count == 1), operation, tensor!);

    /// <summary>1 where the elements are float, 0 where they are of the device's storage type: the argument that kernels of mixed types take.</summary>
    /// <exception cref="ArgumentException">They are neither.</exception>
    public static int IsFloat(Tensor? tensor, ElementType real, string operation)
    {
        Require(tensor is null || tensor.Type == ElementType.F32 || tensor.Type == real, operation, tensor!);
        return tensor is null || tensor.Type == ElementType.F32 ? 1 : 0;
    }
}
