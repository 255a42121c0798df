using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

// What every operator needs: checks that cost nothing when they hold, pointers, rows cut into pieces, columns cut into pieces.
public sealed unsafe partial class CpuBackend
{
    /// <summary>Elements that one piece of row-wise work touches at least: enough to be worth handing to a thread.</summary>
    private const int PieceElements = 8192;

    /// <summary>Columns of one piece of a sum over rows: one cache line of 64 bytes is 16 floats.</summary>
    private const int ColumnPiece = 32;

    /// <summary>Rows as pointers: base, stride, count and length.</summary>
    private readonly struct View
    {
        internal readonly float* Data;
        internal readonly long Stride;
        internal readonly int Rows;
        internal readonly int Columns;

        internal View(Tensor tensor, string operation)
        {
            if (tensor.Type != ElementType.F32)
            {
                ThrowType(tensor, operation);
            }

            Data = (float*)tensor.Address;
            Stride = tensor.RowStride;
            Rows = tensor.Rows;
            Columns = tensor.Columns;
        }

        /// <summary>Rows without gaps.</summary>
        internal View(float* data, int rows, int columns)
        {
            Data = data;
            Stride = columns;
            Rows = rows;
            Columns = columns;
        }

        internal bool Exists => Data is not null;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal float* Row(long row) => Data + (row * Stride);
    }

    private static View Optional(Tensor? tensor, string operation) => tensor is null ? default : new View(tensor, operation);

    /// <summary>Elements of a tensor without gaps.</summary>
    private static float* Flat(Tensor tensor, long count, string operation)
    {
        if (tensor.Type != ElementType.F32 || !tensor.IsContiguous || tensor.Count != count)
        {
            ThrowShape(operation, tensor, null);
        }

        return (float*)tensor.Address;
    }

    private static int* Integers(Tensor tensor, long count, string operation)
    {
        if (tensor.Type != ElementType.I32 || !tensor.IsContiguous || tensor.Count != count)
        {
            ThrowShape(operation, tensor, null);
        }

        return (int*)tensor.Address;
    }

    private static void RequireEqual(Tensor a, Tensor? b, string operation)
    {
        if (b is not null && (a.Rows != b.Rows || a.Columns != b.Columns))
        {
            ThrowShape(operation, a, b);
        }
    }

    private static void Require([DoesNotReturnIf(false)] bool holds, string operation, Tensor a, Tensor? b = null)
    {
        if (!holds)
        {
            ThrowShape(operation, a, b);
        }
    }

    [DoesNotReturn]
    private static void ThrowShape(string operation, Tensor a, Tensor? b) => throw new ArgumentException(
        b is null ? $"{operation}: {a} does not fit the operator." : $"{operation}: {a} does not fit {b}.");

    [DoesNotReturn]
    private static void ThrowType(Tensor tensor, string operation) =>
        throw new ArgumentException($"{operation}: the CPU computes in F32, and this tensor is {tensor}.");

    /// <summary>Counts an operator, the way a GPU counts kernel launches.</summary>
    private void NoteLaunch() => Counters.Launches++;

    /// <summary>Runs a body for every piece, on as many threads as pay off.</summary>
    private void Run(int pieces, delegate*<void*, int, void> body, void* context)
    {
        if (pieces == 1)
        {
            body(context, 0);
        }
        else if (pieces > 1)
        {
            _pool.Run(body, context, pieces);
        }
    }

    /// <summary>Rows of a piece when every row has so many elements.</summary>
    private static int RowsOfPiece(int columns) => Math.Max(1, PieceElements / Math.Max(columns, 1));

    private static int Pieces(int count, int ofPiece) => (count + ofPiece - 1) / ofPiece;
}
