using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Linear layers: kernels/matmul_simt.cu, matmul_mma.cu, matmul_reduce.cu, matvec.cu, column_sums.cu. Which of them makes a product, and how, is
// MatmulPlan's choice.
public sealed partial class CudaBackend
{
    private const int ReduceThreads = 256;

    /// <summary>Columns of a block of column_sums_slice, and rows that one of its slices has at least.</summary>
    private const int SumColumns = 64;
    private const int SumRows = 64;

    private MatmulTuning? _tuning;

    /// <summary>The way every product is made, for measuring one way against another; null for the tuned one, or the plan's own choice.</summary>
    public ProductWay? Way { get; set; }

    private MatmulTuning Tuning =>
        _tuning ??= MatmulTuning.Load(_options.CacheFolder, _context.Info.Name, _context.Info.Architecture, _real, _options.Note);

    /// <summary>Products for which a measured way is kept.</summary>
    public int TunedProducts => Tuning.Count;

    /// <summary>Every way that a product can be made in.</summary>
    public IEnumerable<ProductWay> Ways(ProductShape shape) =>
        shape.Form != ProductForm.BackwardWeight && shape.Rows <= MatmulPlan.MatvecRows ? [] // matvec's
        : MatmulPlan.Ways(_real, shape);

    /// <summary>Makes a product in a given way from now on, on this device and, once kept, on every later one; null for the plan's own choice.</summary>
    public void Tune(ProductShape shape, ProductWay? way) => Tuning.Set(shape, way);

    /// <summary>Keeps what <see cref="Tune"/> was told.</summary>
    /// <returns>The file; null where the device keeps no files.</returns>
    /// <exception cref="DvpException">It cannot be written.</exception>
    public string? KeepTuning() => Tuning.Save();

    /// <inheritdoc/>
    public override void LinearForward(
        Tensor y, Tensor? preActivation, Tensor x, ParameterBlock weight, ParameterBlock? bias, Activation activation, Tensor? residual)
    {
        const string Operation = nameof(LinearForward);
        (int rows, int outputs, int inputs) = (y.Rows, y.Columns, x.Columns);
        CudaShapes.Require(x.Rows == rows && weight.Value.Rows == outputs && weight.Value.Columns == inputs, Operation, y, weight.Value);
        CudaShapes.Require(bias is null || bias.Value.Count == outputs, Operation, y, bias?.Value);
        RequireSame(y, preActivation, _real, Operation);
        RequireSame(y, residual, y.Type, Operation);
        (Tensor w, Tensor? b) = (Form(weight), bias is null ? null : Form(bias));

        MatmulPlan plan = Plan(new ProductShape(ProductForm.Forward, rows, outputs, inputs));
        Workspace space = new(this, Converted.Bytes(x, _real) + plan.PartBytes(rows, outputs));
        Converted from = Convert(x, ref space);
        KernelArgument partial = space.Take(plan.PartBytes(rows, outputs));
        int wide = CudaShapes.IsFloat(y, _real, Operation);
        (int pre, int res) = (preActivation?.RowStride ?? 0, residual?.RowStride ?? 0);
        int vectors = InFours(y) & InFours(preActivation) & InFours(b) & InFours(residual);
        switch (plan.File)
        {
            case "matvec":
                Kernel("matvec_forward", plan.File, _real, plan.Options).Launch(
                    DivideUp(outputs, 4), (32, 4), 0,
                    y, preActivation, from.Data, w, b, residual, rows, outputs, inputs,
                    y.RowStride, pre, from.Stride, w.RowStride, res, (int)activation, from.InEights & InEights(w), wide);
                return;
            case "matmul_simt":
                Kernel("matmul_simt_forward", plan.File, _real, plan.Options).Launch(
                    Grid(plan, rows, outputs), 256, 0,
                    y, preActivation, partial, from.Data, w, b, residual, rows, outputs, inputs, plan.DepthPerSplit,
                    y.RowStride, pre, from.Stride, w.RowStride, res, (int)activation, vectors);
                break;
            default:
                Kernel("matmul_mma_forward", plan.File, _real, plan.Options).Launch(
                    Grid(plan, rows, outputs), MmaThreads(plan), 0,
                    y, preActivation, partial, from.Data, w, b, residual, rows, outputs, inputs, plan.DepthPerSplit,
                    y.RowStride, pre, from.Stride, w.RowStride, res, (int)activation, from.InEights, InEights(w), vectors, wide);
                break;
        }

        Reduce(plan, y, preActivation, partial, b, residual, rows, outputs, activation, vectors);
    }

    /// <inheritdoc/>
    public override void LinearBackwardInput(Tensor dx, Tensor dy, ParameterBlock weight, bool accumulate) =>
        LinearInput(dx, dy, weight, accumulate ? dx : null);

    /// <inheritdoc/>
    public override void LinearBackwardParameters(Tensor dweight, Tensor? dbias, Tensor dy, Tensor x)
    {
        const string Operation = nameof(LinearBackwardParameters);
        (int outputs, int inputs, int rows) = (dweight.Rows, dweight.Columns, dy.Rows);
        CudaShapes.Require(dy.Columns == outputs && x.Rows == rows && x.Columns == inputs, Operation, dweight, dy);
        CudaShapes.Require(dweight.Type == ElementType.F32, Operation, dweight, dy);
        if (dbias is not null)
        {
            ColumnSums(dbias, dy, Operation);
        }

        MatmulPlan plan = Plan(new ProductShape(ProductForm.BackwardWeight, outputs, inputs, rows));
        Workspace space = new(this, Converted.Bytes(dy, _real) + Converted.Bytes(x, _real) + plan.PartBytes(outputs, inputs));
        (Converted from, Converted input) = (Convert(dy, ref space), Convert(x, ref space));
        KernelArgument partial = space.Take(plan.PartBytes(outputs, inputs));
        int vectors = InFours(dweight);
        if (plan.File == "matmul_simt")
        {
            Kernel("matmul_simt_backward_weight", plan.File, _real, plan.Options).Launch(
                Grid(plan, outputs, inputs), 256, 0,
                dweight, partial, from.Data, input.Data, outputs, inputs, rows, plan.DepthPerSplit,
                dweight.RowStride, from.Stride, input.Stride, vectors);
        }
        else
        {
            Kernel("matmul_mma_backward_weight", plan.File, _real, plan.Options).Launch(
                Grid(plan, outputs, inputs), MmaThreads(plan), 0,
                dweight, partial, from.Data, input.Data, outputs, inputs, rows, plan.DepthPerSplit,
                dweight.RowStride, from.Stride, input.Stride, from.InEights, input.InEights, vectors);
        }

        Reduce(plan, dweight, null, partial, null, dweight, outputs, inputs, Activation.None, vectors);
    }

    /// <summary>dx = dy W + residual; the residual may be dx itself.</summary>
    private void LinearInput(Tensor dx, Tensor dy, ParameterBlock weight, Tensor? residual)
    {
        const string Operation = nameof(LinearBackwardInput);
        (int rows, int inputs, int outputs) = (dx.Rows, dx.Columns, dy.Columns);
        CudaShapes.Require(dy.Rows == rows && weight.Value.Rows == outputs && weight.Value.Columns == inputs, Operation, dx, weight.Value);
        RequireSame(dx, residual, dx.Type, Operation);
        Tensor w = Form(weight);

        MatmulPlan plan = Plan(new ProductShape(ProductForm.BackwardInput, rows, inputs, outputs));
        Workspace space = new(this, Converted.Bytes(dy, _real) + plan.PartBytes(rows, inputs));
        Converted from = Convert(dy, ref space);
        KernelArgument partial = space.Take(plan.PartBytes(rows, inputs));
        int wide = CudaShapes.IsFloat(dx, _real, Operation);
        int res = residual?.RowStride ?? 0;
        int vectors = InFours(dx) & InFours(residual);
        switch (plan.File)
        {
            case "matvec":
                Kernel("matvec_backward_input", plan.File, _real, plan.Options).Launch(
                    DivideUp(inputs, 32), (32, 8), 0,
                    dx, from.Data, w, residual, rows, inputs, outputs, dx.RowStride, from.Stride, w.RowStride, res, wide);
                return;
            case "matmul_simt":
                Kernel("matmul_simt_backward_input", plan.File, _real, plan.Options).Launch(
                    Grid(plan, rows, inputs), 256, 0,
                    dx, partial, from.Data, w, residual, rows, inputs, outputs, plan.DepthPerSplit,
                    dx.RowStride, from.Stride, w.RowStride, res, vectors);
                break;
            default:
                Kernel("matmul_mma_backward_input", plan.File, _real, plan.Options).Launch(
                    Grid(plan, rows, inputs), MmaThreads(plan), 0,
                    dx, partial, from.Data, w, residual, rows, inputs, outputs, plan.DepthPerSplit,
                    dx.RowStride, from.Stride, w.RowStride, res, from.InEights, InEights(w), vectors, wide);
                break;
        }

        Reduce(plan, dx, null, partial, null, residual, rows, inputs, Activation.None, vectors);
    }

    /// <summary>The second half of a product whose sum was split: nothing for others.</summary>
    private void Reduce(
        MatmulPlan plan, Tensor y, Tensor? preActivation, KernelArgument partial, Tensor? bias, Tensor? residual, int rows, int columns,
        Activation activation, int vectors)
    {
        if (plan.Splits == 1)
        {
            return;
        }

        long groups = (long)rows * DivideUp(columns, 4);
        Kernel("matmul_reduce", "matmul_reduce", _real).Launch(
            checked((int)((groups + ReduceThreads - 1) / ReduceThreads)), ReduceThreads, 0,
            y, preActivation, partial, bias, residual, rows, columns, plan.Splits,
            y.RowStride, preActivation?.RowStride ?? 0, residual?.RowStride ?? 0, (int)activation, vectors,
            CudaShapes.IsFloat(y, _real, nameof(Reduce)));
    }

    /// <summary>sums += column sums of x.</summary>
    private void ColumnSums(Tensor sums, Tensor x, string operation)
    {
        CudaShapes.Require(sums.Type == ElementType.F32 && sums.IsContiguous && sums.Count == x.Columns, operation, sums, x);
        int tiles = DivideUp(x.Columns, SumColumns);

        // Slices until every multiprocessor has two blocks, as long as each has enough rows to be worth it.
        int slices = Math.Clamp(DivideUp(2 * Multiprocessors, Math.Max(1, tiles)), 1, Math.Max(1, x.Rows / SumRows));
        int rowsOfSlice = DivideUp(x.Rows, slices);
        long partBytes = slices == 1 ? 0 : (long)slices * x.Columns * sizeof(float);
        Workspace space = new(this, partBytes);
        KernelArgument parts = space.Take(partBytes);
        Kernel("column_sums_slice", "column_sums", x.Type).Launch(
            (tiles, slices), (32, 8), 0, slices == 1 ? sums : parts, x, x.Rows, x.Columns, x.RowStride, rowsOfSlice);
        if (slices > 1)
        {
            Kernel("column_sums_add", "column_sums", x.Type).Launch(DivideUp(x.Columns, 256), 256, 0, sums, parts, x.Columns, slices);
        }
    }

    private MatmulPlan Plan(ProductShape s) => (Way ?? Tuning.Find(s)) is { } way
        ? MatmulPlan.Of(_real, way.TileM, way.TileN, way.Splits, s.Depth)
        : MatmulPlan.Choose(_real, matvec: s.Form != ProductForm.BackwardWeight, s.Rows, s.Columns, s.Depth, Multiprocessors);

    private static Extents Grid(MatmulPlan plan, int rows, int columns) =>
        (DivideUp(rows, plan.TileM), DivideUp(columns, plan.TileN), plan.Splits);

    /// <summary>Two rows of warps, each warp 32 columns wide.</summary>
    private static int MmaThreads(MatmulPlan plan) => 2 * (plan.TileN / 32) * 32;
}
