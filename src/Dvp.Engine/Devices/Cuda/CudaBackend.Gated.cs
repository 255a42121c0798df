using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// The gate of a gated feed-forward network: kernels/gated_mlp.cu.
public sealed partial class CudaBackend
{
    private const string GatedFile = "gated_mlp";

    /// <inheritdoc/>
    public override void GatedForward(Tensor y, Tensor gate, Tensor up, Activation activation)
    {
        const string Operation = nameof(GatedForward);
        CudaShapes.RequireEqual(y, gate, Operation);
        CudaShapes.RequireEqual(y, up, Operation);
        RowPlan plan = Rows(y.Rows, y.Columns, Wide(y, gate, up));
        Kernel("gated_forward", GatedFile, _real).Launch(
            plan.Grid, plan.Block, sharedBytes: 0,
            y, gate, up, plan.Columns, y.RowStride, gate.RowStride, up.RowStride, (int)activation, plan.Wide);
    }

    /// <inheritdoc/>
    public override void GatedBackward(Tensor dgate, Tensor dup, Tensor dy, Tensor gate, Tensor up, Activation activation)
    {
        const string Operation = nameof(GatedBackward);
        CudaShapes.RequireEqual(dy, dgate, Operation);
        CudaShapes.RequireEqual(dy, dup, Operation);
        CudaShapes.RequireEqual(dy, gate, Operation);
        CudaShapes.RequireEqual(dy, up, Operation);
        RowPlan plan = Rows(dy.Rows, dy.Columns, Wide(dgate, dup, dy, gate) && Wide(up));
        Kernel("gated_backward", GatedFile, _real).Launch(
            plan.Grid, plan.Block, sharedBytes: 0,
            dgate, dup, dy, gate, up, plan.Columns, dgate.RowStride, dup.RowStride, dy.RowStride, gate.RowStride, up.RowStride, (int)activation, plan.Wide);
    }
}
