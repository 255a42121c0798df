using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// What the launchers of row kernels need: checks, whether four elements go as one access, the grid over rows and columns.
public sealed partial class CudaBackend
{
    private const int Warp = 32;
    private const int LargestGridY = 65535;

    /// <summary>Threads of a block whose threads share a row.</summary>
    private const int ThreadsOfRow = 256;

    /// <summary>Rows of a sum over rows that one block takes by itself; more are cut into ranges that a second launch adds up.</summary>
    private const int RowsOfRange = 512;

    /// <summary>A launch over rows and columns: <c>blockIdx.x</c> is the row, the blocks along y share its columns.</summary>
    /// <param name="Columns">Of a row as the kernel sees it: all elements where rows have no gaps and are taken as one.</param>
    /// <param name="Wide">1 where four elements go as one access, else 0.</param>
    /// <param name="Grid">Rows, blocks of a row.</param>
    /// <param name="Block">Threads.</param>
    private readonly record struct RowPlan(long Columns, int Wide, Extents Grid, Extents Block);

    private static RowPlan Rows(int rows, long columns, bool wide)
    {
        long accesses = wide ? columns / 4 : columns;
        int threads = (int)Math.Clamp((accesses + Warp - 1) / Warp * Warp, Warp, ThreadsOfRow);
        int blocks = (int)Math.Min((accesses + threads - 1) / threads, LargestGridY);
        return new RowPlan(columns, wide ? 1 : 0, (rows, blocks), threads);
    }

    /// <summary>A plan for operators that give every element its own result: rows without gaps become one long row.</summary>
    private static RowPlan Elements(Tensor y, Tensor? x = null, Tensor? z = null)
    {
        if (y.IsContiguous && x is not { IsContiguous: false } && z is not { IsContiguous: false })
        {
            return Rows(1, y.Count, y.Count % 4 == 0 && Aligned(y) && Aligned(x) && Aligned(z));
        }

        return Rows(y.Rows, y.Columns, Wide(y, x, z));
    }

    /// <summary>Whether every row of every tensor can be read four elements at a time; all have equal columns.</summary>
    private static bool Wide(Tensor a, Tensor? b = null, Tensor? c = null, Tensor? d = null) => Wide(a) && Wide(b) && Wide(c) && Wide(d);

    private static bool Wide(Tensor? tensor) =>
        tensor is null || (tensor.Columns % 4 == 0 && (tensor.RowStride % 4 == 0 || tensor.Rows <= 1) && Aligned(tensor));

    private static bool Aligned(Tensor? tensor) => tensor is null || tensor.Address % (4 * tensor.Type.Size()) == 0;

    /// <summary>Ranges of rows for a sum over rows: a function of the number of rows alone, so that the order of a sum is fixed.</summary>
    private static int Ranges(int rows) => Math.Clamp(rows / RowsOfRange, 1, 32);

    private static void RequireType(Tensor? tensor, ElementType type, string operation)
    {
        if (tensor is not null && tensor.Type != type)
        {
            throw new ArgumentException($"{operation}: {tensor} should be of {type}.", nameof(tensor));
        }
    }

    /// <summary>The option of kernels whose <c>stream</c> may be wider than the activations; a tensor of any other type does not fit.</summary>
    private string StreamOption(Tensor stream, string operation)
    {
        if (stream.Type == _real)
        {
            return "";
        }

        RequireType(stream, ElementType.F32, operation);
        return "stream=f32";
    }
}
