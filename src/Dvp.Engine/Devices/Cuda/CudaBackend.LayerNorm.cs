using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// kernels/layernorm.cu
public sealed partial class CudaBackend
{
    /// <summary>Rows up to this length are one warp's; longer ones a block's.</summary>
    private const int ColumnsOfWarp = 1024;

    /// <summary>Floats of a row that stay in shared memory: within the 48 KB that every GPU gives a block.</summary>
    private const int CachedColumns = 12000;

    private const int WarpsOfNorm = 8;

    /// <inheritdoc/>
    public override void LayerNormForward(
        NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, ParameterBlock beta, float epsilon)
    {
        const string Operation = nameof(LayerNormForward);
        (int rows, int channels) = CheckNormForward(Operation, saved, y, x, residual, gamma);
        CudaShapes.RequireFlat(saved.Mean!, ElementType.F32, rows, Operation);
        CudaShapes.Require(beta.Value.IsContiguous && beta.Value.Count == channels, Operation, beta.Value, x);

        // Without a residual the sum is the input, which need not be written.
        Tensor? sum = residual is null && saved.Sum.SharesStartWith(x) ? null : saved.Sum;
        (Tensor scale, Tensor shift) = (Form(gamma), Form(beta));
        int wide = Wide(y, x, residual, sum) && Aligned(scale) && Aligned(shift) ? 1 : 0;
        (int sumStride, int residualStride) = (sum?.RowStride ?? 0, residual?.RowStride ?? 0);
        string options = StreamOption(x, Operation);
        if (channels <= ColumnsOfWarp)
        {
            Kernel("layernorm_forward_warp_per_row", "layernorm", _real, options).Launch(
                grid: DivideUp(rows, WarpsOfNorm), block: (Warp, WarpsOfNorm), sharedBytes: NormRowsBytes(channels),
                y, sum, saved.Mean, saved.Rstd, x, residual, scale, shift,
                rows, channels, y.RowStride, sumStride, x.RowStride, residualStride, epsilon, wide);
        }
        else
        {
            int cached = NormCached(channels);
            Kernel("layernorm_forward_block_per_row", "layernorm", _real, options).Launch(
                grid: rows, block: ThreadsOfRow, sharedBytes: cached * sizeof(float),
                y, sum, saved.Mean, saved.Rstd, x, residual, scale, shift,
                channels, cached, y.RowStride, sumStride, x.RowStride, residualStride, epsilon, wide);
        }
    }

    /// <inheritdoc/>
    public override void LayerNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        const string Operation = nameof(LayerNormBackward);
        (int rows, int channels) = CheckNormBackward(Operation, ds, dy, saved, gamma);
        CudaShapes.RequireFlat(saved.Mean!, ElementType.F32, rows, Operation);

        Tensor scale = Form(gamma);
        int wide = Wide(ds, dy, saved.Sum) && Aligned(scale) ? 1 : 0;
        string options = StreamOption(ds, Operation);
        if (channels <= ColumnsOfWarp)
        {
            Kernel("layernorm_backward_warp_per_row", "layernorm", _real, options).Launch(
                grid: DivideUp(rows, WarpsOfNorm), block: (Warp, WarpsOfNorm), sharedBytes: 0,
                ds, dy, saved.Sum, saved.Mean, saved.Rstd, scale,
                rows, channels, ds.RowStride, dy.RowStride, saved.Sum.RowStride, accumulate ? 1 : 0, wide);
        }
        else
        {
            Kernel("layernorm_backward_block_per_row", "layernorm", _real, options).Launch(
                grid: rows, block: ThreadsOfRow, sharedBytes: 0,
                ds, dy, saved.Sum, saved.Mean, saved.Rstd, scale,
                channels, ds.RowStride, dy.RowStride, saved.Sum.RowStride, accumulate ? 1 : 0, wide);
        }
    }

    /// <inheritdoc/>
    public override void LayerNormBackwardParameters(Tensor dgamma, Tensor dbeta, Tensor dy, NormState saved)
    {
        const string Operation = nameof(LayerNormBackwardParameters);
        (int rows, int channels) = CheckNormParameters(Operation, dgamma, dy, saved);
        CudaShapes.RequireFlat(saved.Mean!, ElementType.F32, rows, Operation);
        CudaShapes.RequireFlat(dbeta, ElementType.F32, channels, Operation);

        string options = StreamOption(saved.Sum, Operation);
        int ranges = Ranges(rows);
        KernelArgument partial = ranges == 1 ? (Tensor?)null : KernelArgument.Address(Scratch((long)ranges * 2 * channels * sizeof(float)));
        Kernel("layernorm_backward_parameters", "layernorm", _real, options).Launch(
            grid: (DivideUp(channels, Warp), ranges), block: (Warp, Warp), sharedBytes: 0,
            dgamma, dbeta, partial, dy, saved.Sum, saved.Mean, saved.Rstd, rows, channels, dy.RowStride, saved.Sum.RowStride);
        if (ranges > 1)
        {
            Kernel("layernorm_backward_parameters_total", "layernorm", _real, options).Launch(
                grid: DivideUp(channels, ThreadsOfRow), block: ThreadsOfRow, sharedBytes: 0,
                dgamma, dbeta, partial, ranges, channels);
        }
    }

    /// <summary>Shared memory of a block of forward_warp_per_row: its rows.</summary>
    private static int NormRowsBytes(int channels) => WarpsOfNorm * channels * sizeof(float);

    /// <summary>Floats of a row that forward_block_per_row keeps in shared memory.</summary>
    private static int NormCached(int channels) => Math.Min(channels, CachedColumns);

    private (int Rows, int Channels) CheckNormForward(
        string operation, NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma)
    {
        CudaShapes.RequireEqual(x, y, operation);
        CudaShapes.RequireEqual(x, residual, operation);
        CudaShapes.RequireEqual(x, saved.Sum, operation);
        RequireType(y, _real, operation);
        RequireType(residual, x.Type, operation);
        RequireType(saved.Sum, x.Type, operation);
        CudaShapes.RequireFlat(saved.Rstd, ElementType.F32, x.Rows, operation);
        CudaShapes.Require(gamma.Value.IsContiguous && gamma.Value.Count == x.Columns, operation, gamma.Value, x);
        return (x.Rows, x.Columns);
    }

    private (int Rows, int Channels) CheckNormBackward(string operation, Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma)
    {
        CudaShapes.RequireEqual(dy, ds, operation);
        CudaShapes.RequireEqual(dy, saved.Sum, operation);
        RequireType(dy, _real, operation);
        RequireType(ds, saved.Sum.Type, operation);
        CudaShapes.RequireFlat(saved.Rstd, ElementType.F32, dy.Rows, operation);
        CudaShapes.Require(gamma.Value.IsContiguous && gamma.Value.Count == dy.Columns, operation, gamma.Value, dy);
        return (dy.Rows, dy.Columns);
    }

    private (int Rows, int Channels) CheckNormParameters(string operation, Tensor dgamma, Tensor dy, NormState saved)
    {
        CudaShapes.RequireEqual(dy, saved.Sum, operation);
        RequireType(dy, _real, operation);
        CudaShapes.RequireFlat(saved.Rstd, ElementType.F32, dy.Rows, operation);
        CudaShapes.RequireFlat(dgamma, ElementType.F32, dy.Columns, operation);
        return (dy.Rows, dy.Columns);
    }
}
