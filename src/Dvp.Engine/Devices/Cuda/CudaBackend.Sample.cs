using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// The largest logits: kernels/sample.cu.
public sealed partial class CudaBackend
{
    private const int SampleThreads = 256;

    /// <summary>The k largest entries of every row, largest first, equal ones in the order of their columns; k = 1 is argmax.</summary>
    /// <remarks>NaN never wins. Where a row has fewer than k numbers, the index is -1 and the value minus infinity.</remarks>
    /// <param name="values">F32 (N, k)</param>
    /// <param name="indices">I32 (N, k): columns</param>
    /// <param name="logits">(N, C)</param>
    public void TopK(Tensor values, Tensor indices, Tensor logits)
    {
        CudaShapes.RequireFlat(values, ElementType.F32, (long)logits.Rows * values.Columns, nameof(TopK));
        CudaShapes.RequireFlat(indices, ElementType.I32, values.Count, nameof(TopK));

        Kernel("top_k", "sample", _real).Launch(logits.Rows, SampleThreads, 0,
            values, indices, logits, (long)logits.RowStride, logits.Columns, values.Columns);
    }
}
