using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

public sealed partial class CudaBackend
{
    /// <summary>Rows of a block: kRowsOfBlock in kernels/rotary.cu.</summary>
    private const int RotaryRowsOfBlock = 8;

    private const int RotaryThreads = 128;

    /// <summary>Half turns a position of every pair, cosines and sines of the row at hand.</summary>
    private static int RotaryBytes(int headSize) => (sizeof(double) * headSize / 2) + (sizeof(float) * headSize);

    /// <summary>Turns pairs (i, i + D/2) of every head by their position's angles; see kernels/rotary.cu.</summary>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, float theta, int direction) =>
        Rotary(y, x, positions, heads, null, theta, direction);

    /// <summary>The same with the frequency of each pair given; see kernels/rotary.cu.</summary>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, Tensor frequencies, int direction)
    {
        CudaShapes.RequireFlat(frequencies, ElementType.F32, x.Columns / heads / 2, nameof(Rotary));
        Rotary(y, x, positions, heads, frequencies, 0, direction);
    }

    private void Rotary(Tensor y, Tensor x, Tensor positions, int heads, Tensor? frequencies, float theta, int direction)
    {
        const string Operation = nameof(Rotary);
        CudaShapes.RequireEqual(y, x, Operation);
        CudaShapes.Require(heads > 0 && x.Columns % (2 * heads) == 0, Operation, x);
        CudaShapes.RequireFlat(positions, ElementType.I32, x.Rows, Operation);

        int size = x.Columns / heads;
        Kernel("rotary_turn", "rotary", _real).Launch(
            DivideUp(x.Rows, RotaryRowsOfBlock), RotaryThreads, RotaryBytes(size),
            y, x, positions, frequencies, x.Rows, heads, size, y.RowStride, x.RowStride, theta, direction);
    }
}
