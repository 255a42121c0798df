using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

/// <summary>
/// The contract of a device in plain double-precision scalar code: the oracle that every other device is compared with, and the f64
/// device of
/// gradient checks by central differences.
/// </summary>
/// <remarks>
/// Every operator reads whole tensors into arrays, computes by the formula of its contract, and writes whole tensors. Speed is no aim.
/// Tensors may have any float type and any row stride; results are rounded only when they are stored.
/// </remarks>
/// <param name="activations">
/// F64; or a 16-bit type, in which results are then stored, to see how much of a device's error is that of its type.
/// </param>
public sealed unsafe partial class ReferenceBackend(ElementType activations = ElementType.F64) : Backend
{
    /// <inheritdoc/>
    public override string Name => $"reference (f64, scalar, activations {activations})";

    /// <inheritdoc/>
    public override ElementType ActivationType => activations;

    /// <inheritdoc/>
    public override DeviceBuffer Allocate(long bytes) => new HostBuffer(bytes, Counters);

    /// <inheritdoc/>
    public override void Upload(Tensor destination, ReadOnlySpan<float> source)
    {
        double[] values = new double[source.Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = source[i];
        }

        Upload(destination, values);
    }

    /// <summary>As the upload of floats, without their rounding.</summary>
    public void Upload(Tensor destination, ReadOnlySpan<double> source)
    {
        Require(destination.IsContiguous && destination.Count == source.Length, $"{source.Length} values do not fill {destination}.");
        Require(destination.Type.IsFloat(), $"Floats cannot be copied to {destination}.");
        Store(destination, source.ToArray());
        Uploaded(destination);
    }

    /// <inheritdoc/>
    public override void Upload(Tensor destination, ReadOnlySpan<int> source)
    {
        Require(destination.IsContiguous && destination.Count == source.Length, $"{source.Length} values do not fill {destination}.");
        Require(destination.Type == ElementType.I32, $"Integers cannot be copied to {destination}.");
        source.CopyTo(new Span<int>((void*)destination.Address, source.Length));
        Uploaded(destination);
    }

    /// <inheritdoc/>
    public override void UploadBytes(Tensor destination, ReadOnlySpan<byte> source)
    {
        Require(
            destination.IsContiguous && destination.Count * destination.Type.Size() == source.Length,
            $"{source.Length} bytes do not fill {destination}.");
        source.CopyTo(new Span<byte>((void*)destination.Address, source.Length));
        Uploaded(destination);
    }

    /// <inheritdoc/>
    public override void Download(Span<float> destination, Tensor source)
    {
        Require(destination.Length == source.Count, $"{destination.Length} floats cannot hold {source}.");
        double[] values = source.Type == ElementType.I32 ? Array.ConvertAll(Integers(source), i => (double)i) : Load(source);
        for (int i = 0; i < values.Length; i++)
        {
            destination[i] = (float)values[i];
        }

        Downloaded(source);
    }

    /// <summary>As the download of floats, without their rounding.</summary>
    public void Download(Span<double> destination, Tensor source)
    {
        Require(destination.Length == source.Count, $"{destination.Length} doubles cannot hold {source}.");
        Load(source).CopyTo(destination);
        Downloaded(source);
    }

    /// <inheritdoc/>
    public override void DownloadBytes(Span<byte> destination, Tensor source)
    {
        Require(
            source.IsContiguous && source.Count * source.Type.Size() == destination.Length,
            $"{destination.Length} bytes cannot hold {source}.");
        new ReadOnlySpan<byte>((void*)source.Address, destination.Length).CopyTo(destination);
        Downloaded(source);
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
        // Operators have run when they return.
    }

    /// <summary>The elements in logical order.</summary>
    private static double[] Load(Tensor x)
    {
        double[] values = new double[x.Count];
        for (int row = 0; row < x.Rows; row++)
        {
            for (int column = 0; column < x.Columns; column++)
            {
                nint element = Element(x, row, column);
                values[((long)row * x.Columns) + column] = x.Type switch
                {
                    ElementType.F64 => *(double*)element,
                    ElementType.F32 => *(float*)element,
                    ElementType.F16 => (double)*(Half*)element,
                    ElementType.BF16 => BitConverter.UInt32BitsToSingle((uint)*(ushort*)element << 16),
                    _ => throw new ArgumentException($"A tensor {x} does not hold floats."),
                };
            }
        }

        return values;
    }

    /// <summary>Writes the elements in logical order, rounded to the tensor's type.</summary>
    private static void Store(Tensor y, double[] values)
    {
        Require(values.Length == y.Count, $"{values.Length} results do not fit {y}.");
        for (int row = 0; row < y.Rows; row++)
        {
            for (int column = 0; column < y.Columns; column++)
            {
                double value = values[((long)row * y.Columns) + column];
                nint element = Element(y, row, column);
                switch (y.Type)
                {
                    case ElementType.F64:
                        *(double*)element = value;
                        break;
                    case ElementType.F32:
                        *(float*)element = (float)value;
                        break;
                    case ElementType.F16:
                        *(Half*)element = (Half)value;
                        break;
                    case ElementType.BF16:
                        *(ushort*)element = SixteenBit.BFloat16Bits((float)value);
                        break;
                    default:
                        throw new ArgumentException($"A tensor {y} does not hold floats.");
                }
            }
        }
    }

    /// <summary>Writes the elements, or adds them to what is there.</summary>
    private static void Store(Tensor y, double[] values, bool accumulate)
    {
        if (accumulate)
        {
            double[] before = Load(y);
            for (int i = 0; i < before.Length; i++)
            {
                values[i] += before[i];
            }
        }

        Store(y, values);
    }

    private static int[] Integers(Tensor x)
    {
        Require(x.Type == ElementType.I32, $"A tensor {x} does not hold 32-bit integers.");
        int[] values = new int[x.Count];
        for (int row = 0; row < x.Rows; row++)
        {
            for (int column = 0; column < x.Columns; column++)
            {
                values[((long)row * x.Columns) + column] = *(int*)Element(x, row, column);
            }
        }

        return values;
    }

    private static nint Element(Tensor x, int row, int column) =>
        x.Address + (nint)((((long)row * x.RowStride) + column) * x.Type.Size());

    private static void Require(bool condition, string message, [CallerMemberName] string caller = "")
    {
        if (!condition)
        {
            throw new ArgumentException($"{caller}: {message}");
        }
    }

    /// <summary>Rows and columns must agree; the shapes above them may be folded in different ways.</summary>
    private static void RequireSame(Tensor a, Tensor b, [CallerMemberName] string caller = "") =>
        Require(a.Rows == b.Rows && a.Columns == b.Columns, $"{a} and {b} have different rows or columns.", caller);

    private void Launched() => Counters.Launches++;

    private void Uploaded(Tensor tensor)
    {
        Counters.Uploads++;
        Counters.BytesCopied += tensor.Count * tensor.Type.Size();
    }

    private void Downloaded(Tensor tensor)
    {
        Counters.Downloads++;
        Counters.BytesCopied += tensor.Count * tensor.Type.Size();
    }

    private sealed class HostBuffer : DeviceBuffer
    {
        private readonly DeviceCounters _counters;

        internal HostBuffer(long bytes, DeviceCounters counters)
            : base((nint)NativeMemory.AllocZeroed((nuint)Math.Max(bytes, 1)), bytes)
        {
            _counters = counters;
            counters.Allocated(bytes);
        }

        ~HostBuffer()
        {
            NativeMemory.Free((void*)Address);
        }

        protected override void Dispose(bool disposing)
        {
            if (Address != 0)
            {
                NativeMemory.Free((void*)Address);
                Address = 0;
                _counters.Allocated(-Bytes);
            }
        }
    }
}
