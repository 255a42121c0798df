using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    private const int LinearRows = 64;
    private const int LinearOutputs = 64;

    private struct LinearContext
    {
        internal View Y;
        internal View X;
        internal TypedView Weight;
        internal View WeightGradient;
        internal float* Bias;
        internal int ColumnPieces;
        internal int Inner;
        internal bool Accumulate;
    }

    /// <inheritdoc/>
    public override void LinearForward(
        Tensor y, Tensor? preActivation, Tensor x, ParameterBlock weight, ParameterBlock? bias, Activation activation, Tensor? residual)
    {
        NoteLaunch();
        Linear(y, preActivation, x, weight, bias, activation, residual);
    }

    /// <inheritdoc/>
    public override void LinearBackwardInput(Tensor dx, Tensor dy, ParameterBlock weight, bool accumulate)
    {
        NoteLaunch();
        LinearInput(dx, dy, weight, accumulate);
    }

    /// <inheritdoc/>
    public override void LinearBackwardParameters(Tensor dweight, Tensor? dbias, Tensor dy, Tensor x)
    {
        NoteLaunch();
        LinearParameters(dweight, dbias, dy, x);
    }

    private void Linear(
        Tensor y, Tensor? preActivation, Tensor x, ParameterBlock weight, ParameterBlock? bias, Activation activation, Tensor? residual)
    {
        const string Operation = nameof(LinearForward);
        Require(y.Rows == x.Rows && weight.Value.Rows == y.Columns && weight.Value.Columns == x.Columns, Operation, y, weight.Value);
        RequireEqual(y, preActivation, Operation);
        RequireEqual(y, residual, Operation);
        LinearContext c = new()
        {
            Y = new View(y, Operation),
            X = new View(x, Operation),
            Weight = new TypedView(weight.Value),
            Bias = bias is null ? null : Flat(bias.Value, y.Columns, Operation),
            ColumnPieces = Pieces(y.Columns, LinearOutputs),
            Inner = x.Columns,
        };
        Run(c.ColumnPieces * Pieces(y.Rows, LinearRows), &LinearBody, &c);
        if (preActivation is not null)
        {
            RunElementwise(preActivation, y, &CopyBody);
        }

        if (activation != Activation.None)
        {
            ActivationContext a = new() { Y = c.Y, X = c.Y, RowsOfPiece = ActivationRows(y) };
            RunActivation(activation, y.Rows, ref a, gradient: false);
        }

        if (residual is not null)
        {
            RunElementwise(y, residual, &AddBody);
        }
    }

    private void LinearInput(Tensor dx, Tensor dy, ParameterBlock weight, bool accumulate)
    {
        const string Operation = nameof(LinearBackwardInput);
        Require(dx.Rows == dy.Rows && weight.Value.Rows == dy.Columns && weight.Value.Columns == dx.Columns, Operation, dx, weight.Value);
        LinearContext c = new()
        {
            Y = new View(dx, Operation),
            X = new View(dy, Operation),
            Weight = new TypedView(weight.Value),
            ColumnPieces = Pieces(dx.Columns, PromptChannels),
            Inner = dy.Columns,
            Accumulate = accumulate,
        };
        Run(c.ColumnPieces * Pieces(dx.Rows, LinearRows), &LinearInputBody, &c);
    }

    private void LinearParameters(Tensor dweight, Tensor? dbias, Tensor dy, Tensor x)
    {
        const string Operation = nameof(LinearBackwardParameters);
        Require(dy.Rows == x.Rows && dweight.Rows == dy.Columns && dweight.Columns == x.Columns, Operation, dweight, dy);
        LinearContext c = new()
        {
            Y = new View(dy, Operation),
            X = new View(x, Operation),
            WeightGradient = new View(dweight, Operation),
            Bias = dbias is null ? null : Flat(dbias, dy.Columns, Operation),
            ColumnPieces = Pieces(x.Columns, PromptChannels),
        };
        Run(c.ColumnPieces * Pieces(dy.Columns, LinearOutputs), &LinearParametersBody, &c);
        if (dbias is not null)
        {
            Run(Pieces(dy.Columns, ColumnPiece), &ColumnSumsBody, &c);
        }
    }

    private static void LinearBody(void* context, int piece)
    {
        ref LinearContext c = ref *(LinearContext*)context;
        (int rowPiece, int columnPiece) = Math.DivRem(piece, c.ColumnPieces);
        int row = rowPiece * LinearRows;
        int rows = Math.Min(LinearRows, c.Y.Rows - row);
        int first = columnPiece * LinearOutputs;
        int count = Math.Min(LinearOutputs, c.Y.Columns - first);
        float* scratch = CpuScratch.Floats((long)count * c.Inner);
        float* weight = c.Weight.Block(first, count, 0, c.Inner, scratch, out long stride);
        float* y = c.Y.Row(row) + first;
        CpuProducts.MultiplyTransposed(y, c.Y.Stride, c.X.Row(row), c.X.Stride, weight, stride, rows, count, c.Inner, alpha: 1, accumulate: false);
        for (int i = 0; i < rows && c.Bias is not null; i++)
        {
            CpuRows.Add(y + (i * c.Y.Stride), c.Bias + first, count);
        }
    }

    private static void LinearInputBody(void* context, int piece)
    {
        ref LinearContext c = ref *(LinearContext*)context;
        (int rowPiece, int columnPiece) = Math.DivRem(piece, c.ColumnPieces);
        int row = rowPiece * LinearRows;
        int rows = Math.Min(LinearRows, c.Y.Rows - row);
        int first = columnPiece * PromptChannels;
        int count = Math.Min(PromptChannels, c.Y.Columns - first);
        float* scratch = CpuScratch.Floats((long)c.Inner * count);
        float* weight = c.Weight.Block(0, c.Inner, first, count, scratch, out long stride);
        CpuProducts.Multiply(
            c.Y.Row(row) + first, c.Y.Stride, c.X.Row(row), c.X.Stride, 1, weight, stride, rows, count, c.Inner, alpha: 1, c.Accumulate);
    }

    private static void LinearParametersBody(void* context, int piece)
    {
        ref LinearContext c = ref *(LinearContext*)context;
        (int outputPiece, int columnPiece) = Math.DivRem(piece, c.ColumnPieces);
        int output = outputPiece * LinearOutputs;
        int outputs = Math.Min(LinearOutputs, c.Y.Columns - output);
        int first = columnPiece * PromptChannels;
        int count = Math.Min(PromptChannels, c.X.Columns - first);
        CpuProducts.Multiply(
            c.WeightGradient.Row(output) + first, c.WeightGradient.Stride, c.Y.Row(0) + output, 1, c.Y.Stride, c.X.Row(0) + first, c.X.Stride,
            outputs, count, c.Y.Rows, alpha: 1, accumulate: true);
    }

    private static void ColumnSumsBody(void* context, int piece)
    {
        ref LinearContext c = ref *(LinearContext*)context;
        int start = piece * ColumnPiece;
        int count = Math.Min(ColumnPiece, c.Y.Columns - start);
        float* sums = stackalloc float[ColumnPiece];
        new Span<float>(sums, ColumnPiece).Clear();
        for (int row = 0; row < c.Y.Rows; row++)
        {
            CpuRows.Add(sums, c.Y.Row(row) + start, count);
        }

        CpuRows.Add(c.Bias + start, sums, count);
    }
}
