using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

// Weights are read in packed form. Only where a weight trains, so that it would be packed anew every step, and few rows are multiplied
// with it (the head, the projections of one prompt a picture), it is read as it lies.
public sealed unsafe partial class CpuBackend
{
    /// <summary>Rows from which on packing a weight that trains pays.</summary>
    private const int PackedRows = 128;

    /// <summary>Elements of a weight gradient up to which adding to it by blocks of rows costs little: it stays in a cache.</summary>
    private const int SmallGradient = 256 << 10;

    /// <summary>Rows of such a block: what they hold of 24 columns of the input stays in the first-level cache.</summary>
    private const int GradientRows = 128;

    private const int LinearRows = 64;
    private const int LinearOutputs = 64;
    private const int LinearInputs = 192;

    private struct LinearContext
    {
        internal View Y;
        internal View X;
        internal View Weight;
        internal float* Bias;
        internal int ColumnPieces;
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
        LinearInput(dx, dy, weight, residual: null, accumulate);
    }

    /// <inheritdoc/>
    public override void LinearBackwardParameters(Tensor dweight, Tensor? dbias, Tensor dy, Tensor x)
    {
        NoteLaunch();
        LinearParameters(dweight, dbias, dy, x);
    }

    private static bool ReadsAsItLies(ParameterBlock weight, int rows) =>
        weight.Trains && rows < PackedRows && weight.Value.Type == ElementType.F32;

    private void Linear(
        Tensor y, Tensor? preActivation, Tensor x, ParameterBlock weight, ParameterBlock? bias, Activation activation, Tensor? residual)
    {
        const string Operation = nameof(LinearForward);
        Require(y.Rows == x.Rows && weight.Value.Rows == y.Columns && weight.Value.Columns == x.Columns, Operation, y, weight.Value);
        RequireEqual(y, preActivation, Operation);
        RequireEqual(y, residual, Operation);
        View to = new(y, Operation);
        View from = new(x, Operation);
        View kept = Optional(preActivation, Operation);
        View added = Optional(residual, Operation);
        float* b = bias is null ? null : Flat(bias.Value, y.Columns, Operation);
        if (!ReadsAsItLies(weight, y.Rows))
        {
            GemmEpilogue epilogue = new()
            {
                Bias = b,
                PreActivation = kept.Data,
                PreActivationStride = (nint)kept.Stride,
                Activation = activation,
                Residual = added.Data,
                ResidualStride = (nint)added.Stride,
            };
            PackedMatrix packed = CpuWeightForm.Of(weight, PackedUse.Forward, _pool);
            Gemm.Multiply(_pool, y.Rows, from.Data, (nint)from.Stride, packed, to.Data, (nint)to.Stride, epilogue);
            return;
        }

        LinearContext c = new()
        {
            Y = to,
            X = from,
            Weight = new View(weight.Value, Operation),
            Bias = b,
            ColumnPieces = Pieces(y.Columns, LinearOutputs),
        };
        Run(c.ColumnPieces * Pieces(y.Rows, LinearRows), &LinearBody, &c);
        if (preActivation is not null)
        {
            RunElementwise(preActivation, y, &CopyBody);
        }

        if (activation != Activation.None)
        {
            ActivationContext a = new() { Y = to, X = to, RowsOfPiece = ActivationRows(y) };
            RunActivation(activation, y.Rows, ref a, gradient: false);
        }

        if (residual is not null)
        {
            RunElementwise(y, residual, &AddBody);
        }
    }

    /// <summary>dx (+)= dy W + residual</summary>
    private void LinearInput(Tensor dx, Tensor dy, ParameterBlock weight, Tensor? residual, bool accumulate)
    {
        const string Operation = nameof(LinearBackwardInput);
        Require(dx.Rows == dy.Rows && weight.Value.Rows == dy.Columns && weight.Value.Columns == dx.Columns, Operation, dx, weight.Value);
        RequireEqual(dx, residual, Operation);
        View to = new(dx, Operation);
        View from = new(dy, Operation);
        View added = Optional(residual, Operation);
        if (!ReadsAsItLies(weight, dx.Rows))
        {
            GemmEpilogue epilogue = new() { Residual = added.Data, ResidualStride = (nint)added.Stride, Accumulate = accumulate };
            PackedMatrix packed = CpuWeightForm.Of(weight, PackedUse.BackwardInput, _pool);
            Gemm.Multiply(_pool, dx.Rows, from.Data, (nint)from.Stride, packed, to.Data, (nint)to.Stride, epilogue);
            return;
        }

        LinearContext c = new()
        {
            Y = to,
            X = from,
            Weight = new View(weight.Value, Operation),
            ColumnPieces = Pieces(dx.Columns, LinearInputs),
            Accumulate = accumulate,
        };
        Run(c.ColumnPieces * Pieces(dx.Rows, LinearRows), &LinearInputBody, &c);
        if (residual is not null)
        {
            RunElementwise(dx, residual, &AddBody);
        }
    }

    private void LinearParameters(Tensor dweight, Tensor? dbias, Tensor dy, Tensor x)
    {
        const string Operation = nameof(LinearBackwardParameters);
        Require(dy.Rows == x.Rows && dweight.Rows == dy.Columns && dweight.Columns == x.Columns, Operation, dweight, dy);
        View from = new(dy, Operation);
        View input = new(x, Operation);
        View to = new(dweight, Operation);
        if (dweight.Count <= SmallGradient)
        {
            LinearContext w = new() { Y = from, X = input, Weight = to, ColumnPieces = Pieces(x.Columns, LinearInputs) };
            Run(w.ColumnPieces * Pieces(dy.Columns, LinearOutputs), &LinearParametersBody, &w);
        }
        else
        {
            Gemm.AccumulateOuter(
                _pool, dy.Rows, dy.Columns, x.Columns, from.Data, (nint)from.Stride, input.Data, (nint)input.Stride,
                to.Data, (nint)to.Stride);
        }

        if (dbias is not null)
        {
            LinearContext c = new() { Y = from, Bias = Flat(dbias, dy.Columns, Operation) };
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
        float* y = c.Y.Row(row) + first;
        CpuProducts.MultiplyTransposed(
            y, c.Y.Stride, c.X.Row(row), c.X.Stride, c.Weight.Row(first), c.Weight.Stride, rows, count, c.X.Columns,
            alpha: 1, accumulate: false);
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
        int first = columnPiece * LinearInputs;
        int count = Math.Min(LinearInputs, c.Y.Columns - first);
        CpuProducts.Multiply(
            c.Y.Row(row) + first, c.Y.Stride, c.X.Row(row), c.X.Stride, 1, c.Weight.Data + first, c.Weight.Stride,
            rows, count, c.X.Columns, alpha: 1, c.Accumulate);
    }

    private static void LinearParametersBody(void* context, int piece)
    {
        ref LinearContext c = ref *(LinearContext*)context;
        (int outputPiece, int columnPiece) = Math.DivRem(piece, c.ColumnPieces);
        int output = outputPiece * LinearOutputs;
        int outputs = Math.Min(LinearOutputs, c.Y.Columns - output);
        int first = columnPiece * LinearInputs;
        int count = Math.Min(LinearInputs, c.X.Columns - first);
        for (int row = 0; row < c.Y.Rows; row += GradientRows)
        {
            CpuProducts.Multiply(
                c.Weight.Row(output) + first, c.Weight.Stride, c.Y.Row(row) + output, 1, c.Y.Stride, c.X.Row(row) + first, c.X.Stride,
                outputs, count, Math.Min(GradientRows, c.Y.Rows - row), alpha: 1, accumulate: true);
        }
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
