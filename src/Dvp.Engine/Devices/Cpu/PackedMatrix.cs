using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>Which product a weight matrix W (out, in) is packed for.</summary>
internal enum PackedUse
{
    /// <summary>Y (M, out) = X (M, in) W^T: sums run over in.</summary>
    Forward,

    /// <summary>dX (M, in) = dY (M, out) W: sums run over out.</summary>
    BackwardInput,
}

/// <summary>
/// A weight matrix in the order in which products read it: panels of <see cref="PanelWidth"/> output columns, and in a panel one row of
/// that width for each term of the sum. Missing columns of the last panel are zeros.
/// </summary>
/// <remarks>Storage in bf16 or f16 halves the memory traffic of frozen weights; sums are in f32 all the same.</remarks>
internal sealed unsafe class PackedMatrix : IDisposable
{
    /// <summary>Reserves the memory; <see cref="Pack"/> fills it.</summary>
    /// <param name="use">Which product.</param>
    /// <param name="outputs">Rows of W.</param>
    /// <param name="inputs">Columns of W.</param>
    /// <param name="storage">F32, BF16 or F16.</param>
    /// <param name="kind">Kernel that will read it; null for the machine's best.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size below 1, or another storage type.</exception>
    internal PackedMatrix(PackedUse use, int outputs, int inputs, ElementType storage = ElementType.F32, CpuKernelKind? kind = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(outputs, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(inputs, 1);
        if (storage is not (ElementType.F32 or ElementType.BF16 or ElementType.F16))
        {
            throw new ArgumentOutOfRangeException(nameof(storage), storage, "Packed weights are F32, BF16 or F16.");
        }

        Use = use;
        Outputs = outputs;
        Inputs = inputs;
        Storage = storage;
        Kind = kind ?? CpuKernelKinds.Best;
        PanelWidth = Kind.PanelWidth();
        Panels = (Columns + PanelWidth - 1) / PanelWidth;
        Bytes = (long)Panels * PanelBytes;
        Data = (byte*)HostMemory.Allocate(Bytes);
    }

    /// <summary>Frees the memory of a matrix that nobody disposed.</summary>
    ~PackedMatrix() => Free();

    /// <summary>Which product the matrix is packed for.</summary>
    internal PackedUse Use { get; }

    /// <summary>Rows of W.</summary>
    internal int Outputs { get; }

    /// <summary>Columns of W.</summary>
    internal int Inputs { get; }

    /// <summary>Columns of the product.</summary>
    internal int Columns => Use == PackedUse.Forward ? Outputs : Inputs;

    /// <summary>Terms of each sum.</summary>
    internal int Inner => Use == PackedUse.Forward ? Inputs : Outputs;

    /// <summary>Element type in the panels.</summary>
    internal ElementType Storage { get; }

    /// <summary>The kernel that reads the panels.</summary>
    internal CpuKernelKind Kind { get; }

    /// <summary>Columns of a panel.</summary>
    internal int PanelWidth { get; }

    /// <summary>Number of panels.</summary>
    internal int Panels { get; }

    /// <summary>Bytes of a panel.</summary>
    internal long PanelBytes => (long)Inner * PanelWidth * Storage.Size();

    /// <summary>Bytes of all panels.</summary>
    internal long Bytes { get; }

    /// <summary>Whether f16 elements are all finite, which makes widening them cheaper.</summary>
    internal bool IsFinite { get; private set; } = true;

    /// <summary>The panels.</summary>
    internal byte* Data { get; private set; }

    /// <summary>Fills the panels from W, in parallel; again whenever W has changed.</summary>
    /// <param name="pool">Threads.</param>
    /// <param name="weight">W (outputs, inputs), row by row.</param>
    /// <param name="type">Its element type: F32, BF16 or F16. Conversion rounds to nearest even.</param>
    /// <param name="stride">Elements from one row to the next.</param>
    /// <exception cref="ArgumentOutOfRangeException">Another type, or a stride below the row's length.</exception>
    internal void Pack(CpuThreadPool pool, void* weight, ElementType type, nint stride)
    {
        ObjectDisposedException.ThrowIf(Data is null, this);
        ArgumentOutOfRangeException.ThrowIfLessThan(stride, Inputs);
        GemmPacking.Pack(pool, this, weight, type, stride);
        IsFinite = Storage != ElementType.F16 || AllFinite((ushort*)Data, Bytes / sizeof(ushort));
    }

    /// <summary>As <see cref="Pack"/>, from f32.</summary>
    internal void Repack(CpuThreadPool pool, float* weight, nint stride) => Pack(pool, weight, ElementType.F32, stride);

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    // An exponent of all ones is infinity or NaN. Panels are whole vectors of 16 elements.
    private static bool AllFinite(ushort* elements, long count)
    {
        Vector256<ushort> exponent = Vector256.Create((ushort)0x7C00);
        Vector256<ushort> found = Vector256<ushort>.Zero;
        for (long i = 0; i < count; i += Vector256<ushort>.Count)
        {
            found |= Vector256.Equals(Vector256.Load(elements + i) & exponent, exponent);
        }

        return found == Vector256<ushort>.Zero;
    }

    private void Free()
    {
        HostMemory.Free(Data, Bytes);
        Data = null;
    }
}
