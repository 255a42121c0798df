namespace Dvp.Engine.Tensors;

/// <summary>
/// One allocation that holds a parameter, or several that one matrix product reads together (query, key and value of an
/// attention: their rows follow one another, so the three products are one).
/// </summary>
public sealed class ParameterBlock
{
    private readonly ParameterBlock? _whole;
    private List<(int Start, ParameterBlock Part)>? _parts;
    private int _version;

    /// <summary>Makes a block.</summary>
    /// <param name="value">(N, K) a weight in (out, in) layout, or (N) a vector.</param>
    /// <param name="gradient">As <paramref name="value"/> in the accumulation type, or null when the block is frozen.</param>
    public ParameterBlock(Tensor value, Tensor? gradient)
    {
        Value = value;
        Gradient = gradient;
    }

    private ParameterBlock(ParameterBlock whole, Tensor value, Tensor? gradient)
        : this(value, gradient) => _whole = whole;

    /// <summary>The values.</summary>
    public Tensor Value { get; }

    /// <summary>The accumulated gradient; null when frozen.</summary>
    public Tensor? Gradient { get; }

    /// <summary>Whether training changes the block.</summary>
    public bool Trains => Gradient is not null;

    /// <summary>Counts changes of the values; whoever writes them calls <see cref="Touch"/>, so that a device's own form of the weight is renewed.</summary>
    public int Version => _whole?.Version ?? _version;

    /// <summary>The device's own form of the weight (panels for the CPU's matrix product), kept by the backend.</summary>
    public IDisposable? DeviceForm { get; set; }

    /// <summary>Notes that the values changed, here and in every part.</summary>
    public void Touch()
    {
        if (_whole is null)
        {
            _version++;
        }
        else
        {
            _whole.Touch();
        }
    }

    /// <summary>
    /// Outputs [start, start + count) as a block of their own over the same memory, made once: where only some of the products are needed
    /// (the query of the one row that is read, keys and values of all).
    /// </summary>
    public ParameterBlock Outputs(int start, int count)
    {
        _parts ??= [];
        foreach ((int partStart, ParameterBlock part) in _parts)
        {
            if (partStart == start && part.OutputCount == count)
            {
                return part;
            }
        }

        ParameterBlock made = new(this, Slice(Value, start, count), Gradient is null ? null : Slice(Gradient, start, count));
        _parts.Add((start, made));
        return made;
    }

    /// <summary>The block that this one is a part of, or itself.</summary>
    public ParameterBlock Whole => _whole ?? this;

    /// <summary>Frees the device's forms of the block and its parts.</summary>
    public void ReleaseDeviceForms()
    {
        DeviceForm?.Dispose();
        DeviceForm = null;
        foreach ((_, ParameterBlock part) in _parts ?? [])
        {
            part.ReleaseDeviceForms();
        }
    }

    private int OutputCount => Value.Extent(0);

    private static Tensor Slice(Tensor tensor, int start, int count) =>
        tensor.Shape.Length == 1 ? tensor.SliceColumns(start, count) : tensor.SliceRows(start, count);
}
