using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// The processor as a device: vectorised managed code on one pool of threads. Computes in f32; frozen linear weights and visual
/// tokens may be bf16 or f16.
/// </summary>
/// <remarks>
/// Operators run to completion before they return. Work is cut into pieces whose number and order of summation depend on shapes only, so
/// results do not depend on the number of threads. A call makes no managed allocation: contexts live on the stack and working memory
/// with its thread.
/// </remarks>
public sealed unsafe partial class CpuBackend : Backend
{
    private readonly CpuThreadPool _pool;
    private readonly ElementType _frozen;

    /// <summary>Opens the device.</summary>
    /// <param name="threads">Threads that compute, the caller included; 0 for all processors that the process may use.</param>
    /// <param name="frozenMatrices">Type in which matrices that do not train are kept: F32, BF16 or F16.</param>
    /// <exception cref="ArgumentException">Matrices cannot be kept in that type.</exception>
    public CpuBackend(int threads = 0, ElementType frozenMatrices = ElementType.F32)
    {
        _frozen = frozenMatrices is ElementType.F32 or ElementType.BF16 or ElementType.F16
            ? frozenMatrices
            : throw new ArgumentException($"Matrices cannot be kept in {frozenMatrices}.", nameof(frozenMatrices));
        _pool = new CpuThreadPool(threads);
    }

    /// <inheritdoc/>
    public override string Name => $"cpu ({_pool.Threads} threads, {InstructionSet}{FrozenText})";

    /// <inheritdoc/>
    public override ElementType ActivationType => ElementType.F32;

    /// <inheritdoc/>
    public override ElementType FrozenMatrixType => _frozen;

    private string FrozenText => _frozen == ElementType.F32 ? "" : $", frozen matrices in {_frozen.ToString().ToLowerInvariant()}";

    private static string InstructionSet =>
        System.Runtime.Intrinsics.X86.Avx512F.IsSupported ? "AVX-512"
        : System.Runtime.Intrinsics.X86.Fma.IsSupported ? "AVX2"
        : RuntimeInformation.ProcessArchitecture.ToString();

    /// <inheritdoc/>
    public override DeviceBuffer Allocate(long bytes) => new CpuBuffer(bytes, Counters);

    /// <inheritdoc/>
    public override void Upload(Tensor destination, ReadOnlySpan<float> source)
    {
        DeviceCopy.RequireFloats(destination, source.Length);
        fixed (float* from = source)
        {
            CpuConvert.FromFloat((void*)destination.Address, from, destination.Type, source.Length);
        }

        Counters.Uploaded(destination);
    }

    /// <inheritdoc/>
    public override void Upload(Tensor destination, ReadOnlySpan<int> source)
    {
        DeviceCopy.RequireIntegers(destination, source.Length);
        source.CopyTo(new Span<int>((void*)destination.Address, source.Length));
        Counters.Uploaded(destination);
    }

    /// <inheritdoc/>
    public override void UploadBytes(Tensor destination, ReadOnlySpan<byte> source)
    {
        DeviceCopy.RequireBytes(destination, source.Length);
        source.CopyTo(new Span<byte>((void*)destination.Address, source.Length));
        Counters.Uploaded(destination);
    }

    /// <inheritdoc/>
    public override void Download(Span<float> destination, Tensor source)
    {
        DeviceCopy.RequireRoom(destination.Length, source);
        fixed (float* to = destination)
        {
            int size = source.Type.Size();
            for (int row = 0; row < source.Rows; row++)
            {
                byte* from = (byte*)source.Address + ((long)row * source.RowStride * size);
                if (source.Type == ElementType.I32)
                {
                    for (int i = 0; i < source.Columns; i++)
                    {
                        to[((long)row * source.Columns) + i] = ((int*)from)[i];
                    }
                }
                else
                {
                    CpuConvert.ToFloat(to + ((long)row * source.Columns), from, source.Type, source.Columns);
                }
            }
        }

        Counters.Downloaded(source);
    }

    /// <inheritdoc/>
    public override void DownloadBytes(Span<byte> destination, Tensor source)
    {
        DeviceCopy.RequireByteRoom(destination.Length, source);
        new ReadOnlySpan<byte>((void*)source.Address, destination.Length).CopyTo(destination);
        Counters.Downloaded(source);
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
        // Operators have run when they return.
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _pool.Dispose();
            DisposeRotaryTable();
            DisposeOptimizer();
            DisposeLosses();
            DisposePromptGradients();
        }

        base.Dispose(disposing);
    }
}
