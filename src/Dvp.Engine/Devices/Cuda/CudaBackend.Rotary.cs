using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

public sealed partial class CudaBackend
{
    /// <summary>Rows of a block: kRowsOfBlock in kernels/rotary.cu.</summary>
    private const int RotaryRowsOfBlock = 8;

    /// <summary>Turns pairs (i, i + D/2) of every head by their position's angles; see kernels/rotary.cu.</summary>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, float theta, int direction)
    {
        OperandChecks checks = new(nameof(Rotary));
        checks.Equal(y, x);
        checks.Require(heads > 0 && x.Columns % (2 * heads) == 0, x);
        checks.Flat(positions, ElementType.I32, x.Rows);

        int size = x.Columns / heads;
        Kernel("rotary_turn", "rotary", _real).Launch(
            DivideUp(x.Rows, RotaryRowsOfBlock), 128, (sizeof(double) * size / 2) + (sizeof(float) * size),
            y, x, positions, x.Rows, heads, size, y.RowStride, x.RowStride, theta, direction);
    }
}
