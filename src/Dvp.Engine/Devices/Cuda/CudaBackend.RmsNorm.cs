using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// kernels/rmsnorm.cu
public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public override void RmsNormForward(NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, float epsilon)
    {
        const string Operation = nameof(RmsNormForward);
        (int rows, int channels) = CheckNormForward(Operation, saved, y, x, residual, gamma);

        Tensor? sum = residual is null && saved.Sum.SharesStartWith(x) ? null : saved.Sum;
        Tensor scale = Form(gamma);
        int wide = Wide(y, x, residual, sum) && Aligned(scale) ? 1 : 0;
        (int sumStride, int residualStride) = (sum?.RowStride ?? 0, residual?.RowStride ?? 0);
        string options = StreamOption(x, Operation);
        if (channels <= ColumnsOfWarp)
        {
            Kernel("rmsnorm_forward_warp_per_row", "rmsnorm", _real, options).Launch(
                grid: DivideUp(rows, WarpsOfNorm), block: (Warp, WarpsOfNorm), sharedBytes: NormRowsBytes(channels),
                y, sum, saved.Rstd, x, residual, scale,
                rows, channels, y.RowStride, sumStride, x.RowStride, residualStride, epsilon, wide);
        }
        else
        {
            int cached = NormCached(channels);
            Kernel("rmsnorm_forward_block_per_row", "rmsnorm", _real, options).Launch(
                grid: rows, block: ThreadsOfRow, sharedBytes: cached * sizeof(float),
                y, sum, saved.Rstd, x, residual, scale,
                channels, cached, y.RowStride, sumStride, x.RowStride, residualStride, epsilon, wide);
        }
    }

    /// <inheritdoc/>
    public override void RmsNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        const string Operation = nameof(RmsNormBackward);
        (int rows, int channels) = CheckNormBackward(Operation, ds, dy, saved, gamma);

        Tensor scale = Form(gamma);
        int wide = Wide(ds, dy, saved.Sum) && Aligned(scale) ? 1 : 0;
        string options = StreamOption(ds, Operation);
        if (channels <= ColumnsOfWarp)
        {
            Kernel("rmsnorm_backward_warp_per_row", "rmsnorm", _real, options).Launch(
                grid: DivideUp(rows, WarpsOfNorm), block: (Warp, WarpsOfNorm), sharedBytes: 0,
                ds, dy, saved.Sum, saved.Rstd, scale,
                rows, channels, ds.RowStride, dy.RowStride, saved.Sum.RowStride, accumulate ? 1 : 0, wide);
        }
        else
        {
            Kernel("rmsnorm_backward_block_per_row", "rmsnorm", _real, options).Launch(
                grid: rows, block: ThreadsOfRow, sharedBytes: 0,
                ds, dy, saved.Sum, saved.Rstd, scale,
                channels, ds.RowStride, dy.RowStride, saved.Sum.RowStride, accumulate ? 1 : 0, wide);
        }
    }

    /// <inheritdoc/>
    public override void RmsNormBackwardParameters(Tensor dgamma, Tensor dy, NormState saved)
    {
        const string Operation = nameof(RmsNormBackwardParameters);
        (int rows, int channels) = CheckNormParameters(Operation, dgamma, dy, saved);

        string options = StreamOption(saved.Sum, Operation);
        int ranges = Ranges(rows);
        KernelArgument partial = ranges == 1 ? (Tensor?)null : KernelArgument.Address(Scratch((long)ranges * channels * sizeof(float)));
        Kernel("rmsnorm_backward_parameters", "rmsnorm", _real, options).Launch(
            grid: (DivideUp(channels, Warp), ranges), block: (Warp, Warp), sharedBytes: 0,
            dgamma, partial, dy, saved.Sum, saved.Rstd, rows, channels, dy.RowStride, saved.Sum.RowStride);
        if (ranges > 1)
        {
            Kernel("rmsnorm_backward_parameters_total", "rmsnorm", _real, options).Launch(
                grid: DivideUp(channels, ThreadsOfRow), block: ThreadsOfRow, sharedBytes: 0,
                dgamma, partial, ranges, channels);
        }
    }
}
