using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// kernels/softmax_cross_entropy.cu, kernels/bce_with_logits.cu
public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public override void SoftmaxCrossEntropy(
        Tensor loss, Tensor? dlogits, Tensor logits, Tensor labels, int ignore, float smoothing, float scale, Tensor? lossScale = null)
    {
        const string Operation = nameof(SoftmaxCrossEntropy);
        (int rows, int classes) = (logits.Rows, logits.Columns);
        CudaShapes.RequireEqual(logits, dlogits, Operation);
        CudaShapes.RequireFlat(labels, ElementType.I32, rows, Operation);
        CudaShapes.RequireFlat(loss, ElementType.F32, 1, Operation);
        CudaShapes.RequireNumber(lossScale, Operation);

        KernelArgument rowLosses = KernelArgument.Address(Scratch((long)rows * sizeof(float)));
        Kernel("softmax_cross_entropy_rows", "softmax_cross_entropy", _real).Launch(
            grid: rows, block: ThreadsOfRow, sharedBytes: 0,
            rowLosses, dlogits, logits, labels, lossScale,
            rows, classes, dlogits?.RowStride ?? 0, logits.RowStride, ignore, smoothing, scale, Wide(logits, dlogits) ? 1 : 0);
        Kernel("softmax_cross_entropy_total", "softmax_cross_entropy", _real).Launch(
            grid: 1, block: ThreadsOfRow, sharedBytes: 0, loss, rowLosses, labels, rows, ignore, scale);
    }

    /// <inheritdoc/>
    public override void BceWithLogits(Tensor loss, Tensor? dlogits, Tensor logits, Tensor targets, float scale, Tensor? lossScale = null)
    {
        const string Operation = nameof(BceWithLogits);
        (int rows, int labels) = (logits.Rows, logits.Columns);
        CudaShapes.RequireEqual(logits, targets, Operation);
        CudaShapes.RequireEqual(logits, dlogits, Operation);
        CudaShapes.RequireFlat(loss, ElementType.F32, 1, Operation);
        CudaShapes.RequireNumber(lossScale, Operation);

        string options = targets.Type == _real ? "" : "target=f32";
        KernelArgument rowLosses = KernelArgument.Address(Scratch((long)rows * sizeof(float)));
        Kernel("bce_with_logits_rows", "bce_with_logits", _real, options).Launch(
            grid: rows, block: ThreadsOfRow, sharedBytes: 0,
            rowLosses, dlogits, logits, targets, lossScale,
            rows, labels, dlogits?.RowStride ?? 0, logits.RowStride, targets.RowStride, scale, Wide(logits, dlogits, targets) ? 1 : 0);
        Kernel("bce_with_logits_total", "bce_with_logits", _real).Launch(
            grid: 1, block: ThreadsOfRow, sharedBytes: 0, loss, rowLosses, rows, scale);
    }
}
