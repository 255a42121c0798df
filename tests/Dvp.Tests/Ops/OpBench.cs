using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Ops;

/// <summary>
/// Memory for one run of an operator on one device. Every tensor lies between guard bytes, gaps between its rows are guards too, and
/// outputs start as NaN; <see cref="Check"/> finds a guard or an input that the operator wrote to.
/// </summary>
/// <remarks>
/// Guards have all bits set: NaN in every float type and -1 as an integer, so that reading beyond a tensor shows in the results as well.
/// </remarks>
internal sealed class OpBench : IDisposable
{
    private const int GuardBytes = 256; // a multiple of every alignment that a device may ask for
    private const byte Guard = 0xFF;
    private readonly List<Guarded> _tensors = [];
    private readonly List<ParameterBlock> _blocks = [];
    private readonly Dictionary<string, int> _randomStreams = new(StringComparer.Ordinal);

    public OpBench(Backend device) => Device = device;

    /// <summary>The device under test.</summary>
    public Backend Device { get; }

    /// <summary>What the run found, in double precision.</summary>
    public TensorArchive Results { get; } = new("the operator under test");

    /// <summary>
    /// Type in which every value that goes in is exact, so that a 16-bit device and the reference start from the same numbers. Where nothing
    /// is said, random values are exact in the device's activation type (in F32 on an F64 device) and others are taken as they are.
    /// </summary>
    public ElementType? Precision { get; init; }

    /// <summary>
    /// Whether tensors lie between guards. Without them an allocation holds one tensor and ends with it, for a device that finds by itself what
    /// lies outside.
    /// </summary>
    public bool HasGuards { get; init; } = true;

    /// <summary>
    /// Whether <see cref="Run"/> runs every operator a second time and adds up what that allocates on the managed heap; the results are
    /// worth nothing then.
    /// </summary>
    public bool MeasureAllocations { get; init; }

    /// <summary>Managed bytes that the second runs allocated on the calling thread, by operator.</summary>
    public List<(string Operator, long Bytes)> Allocations { get; } = [];

    /// <summary>Runs an operator.</summary>
    public void Run(Action<Backend> op, [CallerArgumentExpression(nameof(op))] string text = "")
    {
        op(Device);
        if (MeasureAllocations)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            op(Device);
            long bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            Allocations.Add((text, bytes));
        }
    }

    /// <summary>Random read-only values in [-1, 1], see <see cref="Random"/>.</summary>
    public Tensor Input(string name, ReadOnlySpan<int> shape, int gap = 0, ElementType? type = null, double spread = 1) =>
        Input(Random(name, (int)TensorShape.Count(shape), spread), shape, gap, type);

    /// <summary>Random values that an operator adds to.</summary>
    public Tensor InOut(string name, ReadOnlySpan<int> shape, int gap = 0) =>
        InOut(Random(name, (int)TensorShape.Count(shape)), shape, gap);

    /// <summary>A random parameter whose gradient starts with random values, or that is frozen.</summary>
    public ParameterBlock Parameter(string name, ReadOnlySpan<int> shape, bool trains = true, ElementType? type = null)
    {
        int count = (int)TensorShape.Count(shape);
        return Parameter(Random(name, count), shape, trains, trains ? Random($"{name} gradient", count) : null, type);
    }

    /// <summary>
    /// Read-only values of the device's activation type (or another), with <paramref name="gap"/> guard elements after every row.
    /// </summary>
    public Tensor Input(double[] values, ReadOnlySpan<int> shape, int gap = 0, ElementType? type = null) =>
        Make(values, shape, gap, type ?? Device.ActivationType, readOnly: true);

    /// <summary>Read-only integers.</summary>
    public Tensor Input(int[] values, params ReadOnlySpan<int> shape) =>
        Make(Array.ConvertAll(values, v => (double)v), shape, 0, ElementType.I32, readOnly: true);

    /// <summary>A result that starts as NaN.</summary>
    public Tensor Output(ReadOnlySpan<int> shape, int gap = 0) => Make(null, shape, gap, Device.ActivationType, readOnly: false);

    /// <summary>A statistic, sum or loss that starts as NaN: in the device's accumulation type.</summary>
    public Tensor Statistic(params ReadOnlySpan<int> shape) => Make(null, shape, 0, Device.AccumulationType, readOnly: false);

    /// <summary>A value that lasts over steps and that an operator changes (parameters, moments): in the device's accumulation type.</summary>
    public Tensor Lasting(double[] values, params ReadOnlySpan<int> shape) =>
        Make(values, shape, 0, Device.AccumulationType, readOnly: false);

    /// <summary>The base learning rate as AdamW reads it.</summary>
    public Tensor Rate(float rate) => Input([rate], [1], type: ElementType.F32);

    /// <summary>Update counts that AdamW goes on from.</summary>
    public Tensor Counts(params int[] counts) =>
        Make(Array.ConvertAll(counts, c => (double)c), [counts.Length], 0, ElementType.I32, readOnly: false);

    /// <summary>A result of another type that starts as NaN.</summary>
    public Tensor Output(int count, ElementType type) => Make(null, [count], 0, type, readOnly: false);

    /// <summary>A result that starts with values: an operator adds to it, or works in place.</summary>
    public Tensor InOut(double[] values, ReadOnlySpan<int> shape, int gap = 0) =>
        Make(values, shape, gap, Device.ActivationType, readOnly: false);

    /// <summary>A parameter; its gradient starts at zero, or at the values given.</summary>
    public ParameterBlock Parameter(
        double[] values, ReadOnlySpan<int> shape, bool trains = true, double[]? gradient = null, ElementType? type = null)
    {
        Tensor value = Input(values, shape, type: type ?? (trains ? Device.AccumulationType : null));
        ParameterBlock block = new(value, trains ? Lasting(gradient ?? new double[values.Length], shape) : null);
        _blocks.Add(block);
        return block;
    }

    /// <summary>Values in [-spread, spread] from a stream of the name's own, exact in f32 and the same on every device.</summary>
    public double[] Random(string name, int count, double spread = 1, double centre = 0)
    {
        _randomStreams[name] = _randomStreams.GetValueOrDefault(name) + 1;
        Random random = new(Hash($"{name}/{_randomStreams[name]}/{count}"));
        double[] values = new double[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = Round((float)(centre + (spread * ((2 * random.NextDouble()) - 1))), Precision ?? Device.ActivationType);
        }

        return values;
    }

    /// <summary>Integers in [low, high) from a stream of the name's own.</summary>
    public static int[] Integers(string name, int count, int low, int high)
    {
        Random random = new(Hash($"{name}/{count}"));
        int[] values = new int[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = random.Next(low, high);
        }

        return values;
    }

    /// <summary>Keeps the values of a tensor as a result.</summary>
    public void Result(string name, Tensor tensor) => Results.Add(name, Values(tensor), tensor.Shape);

    /// <summary>The values of a tensor that this bench made, or of a view of one.</summary>
    public double[] Values(Tensor tensor)
    {
        Device.Synchronize();
        Guarded owner = _tensors.Single(t => ReferenceEquals(t.Tensor.Buffer, tensor.Buffer));
        byte[] image = owner.Download(Device);
        double[] values = new double[tensor.Count];
        for (int i = 0; i < values.Length; i++)
        {
            long element = ((long)(i / tensor.Columns) * tensor.RowStride) + (i % tensor.Columns);
            values[i] = Read(image.AsSpan((int)(tensor.ByteOffset + (element * tensor.Type.Size()))), tensor.Type);
        }

        return values;
    }

    /// <summary>Fails where a guard or a read-only tensor has changed.</summary>
    public void Check()
    {
        Device.Synchronize();
        foreach (Guarded guarded in _tensors)
        {
            byte[] image = guarded.Download(Device);
            for (int i = 0; i < image.Length; i++)
            {
                if (image[i] != guarded.Before[i] && (guarded.ReadOnly || guarded.IsGuard(i)))
                {
                    string what = guarded.IsGuard(i) ? "A guard" : "An input";
                    Assert.Fail($"{what} changed: byte {i - guarded.Tensor.ByteOffset} of {guarded.Tensor}, row stride {guarded.Tensor.RowStride}.");
                }
            }
        }
    }

    public void Dispose()
    {
        foreach (ParameterBlock block in _blocks)
        {
            block.ReleaseDeviceForms();
        }

        foreach (Guarded guarded in _tensors)
        {
            guarded.Tensor.Buffer.Dispose();
        }
    }

    private static double Round(float value, ElementType precision) => precision switch
    {
        ElementType.BF16 => BitConverter.UInt32BitsToSingle((uint)SixteenBit.BFloat16Bits(value) << 16),
        ElementType.F16 => (double)(Half)value,
        _ => value,
    };

    private static int Hash(string text)
    {
        uint hash = 2166136261; // FNV-1a: the same in every process, unlike string.GetHashCode
        foreach (char c in text)
        {
            hash = unchecked((hash ^ c) * 16777619);
        }

        return (int)(hash & 0x7FFFFFFF);
    }

    private static void Write(Span<byte> to, ElementType type, double value)
    {
        switch (type)
        {
            case ElementType.F64:
                MemoryMarshal.Write(to, value);
                break;
            case ElementType.F32:
                MemoryMarshal.Write(to, (float)value);
                break;
            case ElementType.F16:
                MemoryMarshal.Write(to, (Half)value);
                break;
            case ElementType.BF16:
                MemoryMarshal.Write(to, SixteenBit.BFloat16Bits((float)value));
                break;
            default:
                MemoryMarshal.Write(to, checked((int)value));
                break;
        }
    }

    private static double Read(ReadOnlySpan<byte> from, ElementType type) => type switch
    {
        ElementType.F64 => MemoryMarshal.Read<double>(from),
        ElementType.F32 => MemoryMarshal.Read<float>(from),
        ElementType.F16 => (double)MemoryMarshal.Read<Half>(from),
        ElementType.BF16 => BitConverter.UInt32BitsToSingle((uint)MemoryMarshal.Read<ushort>(from) << 16),
        _ => MemoryMarshal.Read<int>(from),
    };

    private Tensor Make(double[]? values, ReadOnlySpan<int> shape, int gap, ElementType type, bool readOnly)
    {
        int columns = shape.Length == 0 ? 1 : shape[^1];
        int count = (int)TensorShape.Count(shape);
        int rows = columns == 0 ? 0 : count / columns;
        int stride = columns + gap;
        int guard = HasGuards ? GuardBytes : 0;
        byte[] image = new byte[(2 * guard) + (((rows * stride) - (HasGuards || rows == 0 ? 0 : gap)) * type.Size())];
        Array.Fill(image, Guard);
        if (values is not null)
        {
            Assert.Equal(count, values.Length);
            for (int i = 0; i < count; i++)
            {
                int element = (i / columns * stride) + (i % columns);
                double value = type.IsFloat() && Precision is { } precision && precision.Size() == 2 ? Round((float)values[i], precision) : values[i];
                Write(image.AsSpan(guard + (element * type.Size())), type, value);
            }
        }

        DeviceBuffer buffer = Device.Allocate(image.Length);
        Guarded guarded = new(new Tensor(buffer, guard, type, shape, stride), image, readOnly);
        _tensors.Add(guarded);
        Device.UploadBytes(guarded.Whole, image);
        return guarded.Tensor;
    }

    /// <summary>A tensor, its memory with the guards around it, and what was there before the operator ran.</summary>
    private sealed record Guarded(Tensor Tensor, byte[] Before, bool ReadOnly)
    {
        public Tensor Whole { get; } = new(Tensor.Buffer, 0, ElementType.U8, [Before.Length]);

        public byte[] Download(Backend device)
        {
            byte[] image = new byte[Before.Length];
            device.DownloadBytes(image, Whole);
            return image;
        }

        public bool IsGuard(int position)
        {
            long element = (position - Tensor.ByteOffset) / Tensor.Type.Size();
            return position < Tensor.ByteOffset || element >= Tensor.Rows * Tensor.RowStride || element % Tensor.RowStride >= Tensor.Columns;
        }
    }
}
