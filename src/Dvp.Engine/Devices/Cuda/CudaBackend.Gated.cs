using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// The gate of a gated feed-forward network: kernels/gated_mlp.cu.
public sealed partial class CudaBackend
{
    private const string GatedFile = "gated_mlp";
    private const int GatedThreads = 256;

    /// <inheritdoc/>
    public override void GatedForward(Tensor y, Tensor gate, Tensor up, Activation activation)
    {
        const string Operation = nameof(GatedForward);
        CudaShapes.RequireEqual(y, gate, Operation);
        CudaShapes.RequireEqual(y, up, Operation);

        Kernel("gated_forward", GatedFile, _real).Launch((y.Rows, DivideUp(y.Columns, GatedThreads)), GatedThreads, 0,
            y, gate, up, (long)y.RowStride, (long)gate.RowStride, (long)up.RowStride, y.Columns, (int)activation);
    }

    /// <inheritdoc/>
    public override void GatedBackward(Tensor dgate, Tensor dup, Tensor dy, Tensor gate, Tensor up, Activation activation)
    {
        const string Operation = nameof(GatedBackward);
        CudaShapes.RequireEqual(dy, dgate, Operation);
        CudaShapes.RequireEqual(dy, dup, Operation);
        CudaShapes.RequireEqual(dy, gate, Operation);
        CudaShapes.RequireEqual(dy, up, Operation);

        Kernel("gated_backward", GatedFile, _real).Launch((dy.Rows, DivideUp(dy.Columns, GatedThreads)), GatedThreads, 0,
            dgate, dup, dy, gate, up, (long)dgate.RowStride, (long)dup.RowStride, (long)dy.RowStride, (long)gate.RowStride, (long)up.RowStride,
            dy.Columns, (int)activation);
    }
}
