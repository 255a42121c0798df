using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Elements whose factors are drawn at a time: they stay in the first-level cache.</summary>
    private const int DropoutBlock = 512;

    private struct DropoutContext
    {
        internal View Y;
        internal View X;
        internal View Mask;
        internal PhiloxStream Stream;
        internal bool Accumulate;
        internal int RowsOfPiece;
    }

    /// <inheritdoc/>
    public override void DropoutApply(Tensor y, Tensor x, Dropout dropout, bool accumulate)
    {
        const string Operation = nameof(DropoutApply);
        NoteLaunch();
        RequireEqual(y, x, Operation);
        DropoutContext c = new()
        {
            Y = new View(y, Operation),
            X = new View(x, Operation),
            Accumulate = accumulate,
            RowsOfPiece = RowsOfPiece(y.Columns),
        };
        SetDropout(ref c.Mask, ref c.Stream, dropout, y.Count, y.Columns, Operation);
        Run(Pieces(y.Rows, c.RowsOfPiece), &DropoutBody, &c);
    }

    /// <summary>An explicit mask as rows of the elements, or the stream.</summary>
    private static void SetDropout(ref View mask, ref PhiloxStream stream, Dropout dropout, long count, int columns, string operation)
    {
        if (dropout.KeepMask is { } keep)
        {
            mask = new View(Flat(keep, count, operation), checked((int)(count / Math.Max(columns, 1))), columns);
        }
        else
        {
            if (dropout.State is not { Type: ElementType.I32, Count: 4 })
            {
                throw new ArgumentException($"{operation}: dropout needs its state, I32 (4), or an explicit mask.");
            }

            stream = new PhiloxStream(dropout);
        }
    }

    private static void DropoutBody(void* context, int piece)
    {
        ref DropoutContext c = ref *(DropoutContext*)context;
        int columns = c.Y.Columns;
        float* drawn = stackalloc float[DropoutBlock];
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            for (int start = 0; start < columns; start += DropoutBlock)
            {
                int count = Math.Min(DropoutBlock, columns - start);
                float* factors = drawn;
                if (c.Mask.Exists)
                {
                    factors = c.Mask.Row(row) + start;
                }
                else
                {
                    c.Stream.Factors(drawn, ((long)row * columns) + start, count);
                }

                if (c.Accumulate)
                {
                    CpuRows.AddProduct(c.Y.Row(row) + start, c.X.Row(row) + start, factors, count);
                }
                else
                {
                    CpuRows.Multiply(c.Y.Row(row) + start, c.X.Row(row) + start, factors, count);
                }
            }
        }
    }
}
