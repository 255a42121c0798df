using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    private struct ElementwiseContext
    {
        internal View Y;
        internal View X;
        internal float Value;
        internal int RowsOfPiece;

        // Rows as the loop sees them: one long row cut into pieces where there are no gaps.
        internal int PieceColumns;
        internal int PiecesOfRow;
    }

    /// <inheritdoc/>
    public override void Fill(Tensor y, float value)
    {
        NoteLaunch();
        for (int row = 0, rows = y.IsContiguous ? 1 : y.Rows; row < rows; row++)
        {
            void* start = (byte*)y.Address + ((long)row * y.RowStride * y.Type.Size());
            long count = rows == 1 ? y.Count : y.Columns;
            FillRow(start, y, count, value);
        }
    }

    /// <inheritdoc/>
    public override void Copy(Tensor y, Tensor x)
    {
        NoteLaunch();
        Require(y.Count == x.Count && (y.Columns == x.Columns || (y.IsContiguous && x.IsContiguous)), nameof(Copy), y, x);
        if (y.Type == ElementType.F32 && x.Type == ElementType.F32)
        {
            RunElementwise(y, x, &CopyBody);
        }
        else
        {
            CopyTyped(y, x);
        }
    }

    /// <inheritdoc/>
    public override void Add(Tensor y, Tensor x)
    {
        NoteLaunch();
        Require(y.Count == x.Count && (y.Columns == x.Columns || (y.IsContiguous && x.IsContiguous)), nameof(Add), y, x);
        RunElementwise(y, x, &AddBody);
    }

    private static void FillRow(void* start, Tensor y, long count, float value)
    {
        if (value == 0)
        {
            NativeMemory.Clear(start, (nuint)(count * y.Type.Size()));
            return;
        }

        int length = checked((int)count);
        switch (y.Type)
        {
            case ElementType.F32:
                new Span<float>(start, length).Fill(value);
                break;
            case ElementType.F16:
                new Span<Half>(start, length).Fill((Half)value);
                break;
            case ElementType.BF16:
                new Span<ushort>(start, length).Fill(CpuConvert.ToBFloat16(value));
                break;
            case ElementType.I32:
                new Span<int>(start, length).Fill((int)value);
                break;
            default:
                ThrowType(y, nameof(Fill));
                break;
        }
    }

    private void RunElementwise(Tensor y, Tensor x, delegate*<void*, int, void> body)
    {
        ElementwiseContext c = new() { Y = new View(y, "Copy"), X = new View(x, "Copy") };
        bool flat = y.IsContiguous && x.IsContiguous;
        c.PieceColumns = PieceElements;
        c.PiecesOfRow = flat ? checked((int)((y.Count + PieceElements - 1) / PieceElements)) : 0;
        c.RowsOfPiece = RowsOfPiece(y.Columns);
        Run(flat ? c.PiecesOfRow : Pieces(y.Rows, c.RowsOfPiece), body, &c);
    }

    private static void CopyBody(void* context, int piece)
    {
        ref ElementwiseContext c = ref *(ElementwiseContext*)context;
        if (c.PiecesOfRow > 0)
        {
            long start = (long)piece * c.PieceColumns;
            int count = (int)Math.Min(c.PieceColumns, ((long)c.Y.Rows * c.Y.Columns) - start);
            new ReadOnlySpan<float>(c.X.Data + start, count).CopyTo(new Span<float>(c.Y.Data + start, count));
            return;
        }

        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            new ReadOnlySpan<float>(c.X.Row(row), c.Y.Columns).CopyTo(new Span<float>(c.Y.Row(row), c.Y.Columns));
        }
    }

    private static void AddBody(void* context, int piece)
    {
        ref ElementwiseContext c = ref *(ElementwiseContext*)context;
        if (c.PiecesOfRow > 0)
        {
            long start = (long)piece * c.PieceColumns;
            int count = (int)Math.Min(c.PieceColumns, ((long)c.Y.Rows * c.Y.Columns) - start);
            CpuRows.Add(c.Y.Data + start, c.X.Data + start, count);
            return;
        }

        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            CpuRows.Add(c.Y.Row(row), c.X.Row(row), c.Y.Columns);
        }
    }

    /// <summary>Rows between types, or of integers: rare, so not parallel.</summary>
    private static void CopyTyped(Tensor y, Tensor x)
    {
        bool sameRows = y.Rows == x.Rows;
        int rows = sameRows ? y.Rows : 1;
        int columns = sameRows ? y.Columns : checked((int)y.Count);
        int ySize = y.Type.Size();
        int xSize = x.Type.Size();
        for (int row = 0; row < rows; row++)
        {
            byte* to = (byte*)y.Address + ((long)row * y.RowStride * ySize);
            byte* from = (byte*)x.Address + ((long)row * x.RowStride * xSize);
            if (y.Type == x.Type)
            {
                Buffer.MemoryCopy(from, to, (long)columns * ySize, (long)columns * ySize);
            }
            else if (y.Type == ElementType.F32 && x.Type.IsFloat())
            {
                CpuConvert.ToFloat((float*)to, from, x.Type, columns);
            }
            else if (x.Type == ElementType.F32 && y.Type is ElementType.BF16 or ElementType.F16)
            {
                CpuConvert.FromFloat(to, (float*)from, y.Type, columns);
            }
            else
            {
                ThrowShape(nameof(Copy), y, x);
            }
        }
    }
}
