using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// A parameter as kernels read it, where its own values are of another type: a copy in the device's storage type. Parts of a block view the
/// copy of the whole.
/// </summary>
internal sealed class CudaWeightForm : IDisposable
{
    private readonly DeviceBuffer? _buffer; // of this copy alone
    private readonly CudaMasterCopy? _masters; // or shared with the buffer's other parameters; neither in a part
    private int _version = -1;

    private CudaWeightForm(Tensor value, DeviceBuffer? buffer, CudaMasterCopy? masters) => (Value, _buffer, _masters) = (value, buffer, masters);

    /// <summary>The copy.</summary>
    public Tensor Value { get; }

    /// <summary>The copy that holds this one, where training changes the values.</summary>
    public CudaMasterCopy? Masters => _masters;

    /// <summary>The form of a block that is no part, made on first use.</summary>
    public static CudaWeightForm OfWhole(CudaBackend backend, ParameterBlock whole)
    {
        if (whole.DeviceForm is not CudaWeightForm form)
        {
            Tensor values = whole.Value;
            ElementType real = backend.ActivationType;
            if (whole.Trains && values.Type == ElementType.F32)
            {
                CudaMasterCopy masters = CudaMasterCopy.Take(backend, values.Buffer);
                form = new CudaWeightForm(masters.View(values), null, masters);
            }
            else
            {
                DeviceBuffer buffer = backend.Allocate(values.Count * real.Size());
                form = new CudaWeightForm(new Tensor(buffer, 0, real, values.Shape), buffer, null);
            }

            whole.DeviceForm = form;
        }

        return form;
    }

    /// <summary>The form of a part: the same elements of the whole's copy.</summary>
    public static CudaWeightForm OfPart(CudaWeightForm whole, ParameterBlock root, ParameterBlock part)
    {
        if (part.DeviceForm is not CudaWeightForm form)
        {
            long start = (part.Value.ByteOffset - root.Value.ByteOffset) / root.Value.Type.Size();
            Tensor copy = whole.Value;
            Tensor view = new(copy.Buffer, copy.ByteOffset + (start * copy.Type.Size()), copy.Type, part.Value.Shape);
            form = new CudaWeightForm(view, null, null);
            part.DeviceForm = form;
        }

        return form;
    }

    /// <summary>Whether the values have changed since the last call, so that the copy must be made again.</summary>
    /// <param name="version">Of the block.</param>
    public bool Renews(int version)
    {
        bool renews = _version != version;
        _version = version;
        return renews;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _buffer?.Dispose();
        _masters?.Release();
    }
}

/// <summary>
/// The copy, in the storage type, of a whole buffer of f32 values that training changes. A recorded step copies the buffer in one launch,
/// whatever number of parameters it holds.
/// </summary>
internal sealed class CudaMasterCopy
{
    private readonly Dictionary<DeviceBuffer, CudaMasterCopy> _all;
    private readonly DeviceBuffer _copy;
    private readonly ElementType _real;
    private int _users;
    private int _recording;

    private CudaMasterCopy(CudaBackend backend, DeviceBuffer masters)
    {
        _all = backend.MasterCopies;
        _real = backend.ActivationType;
        Masters = masters;
        _copy = backend.Allocate(masters.Bytes / sizeof(float) * _real.Size());
    }

    /// <summary>The values.</summary>
    public DeviceBuffer Masters { get; }

    /// <summary>Address of the copy's first element.</summary>
    public nint Address => _copy.Address;

    /// <summary>Elements of the buffer.</summary>
    public long Count => Masters.Bytes / sizeof(float);

    /// <summary>The copy of a buffer, made on first use; every call is matched by a <see cref="Release"/>.</summary>
    public static CudaMasterCopy Take(CudaBackend backend, DeviceBuffer masters)
    {
        if (!backend.MasterCopies.TryGetValue(masters, out CudaMasterCopy? copy))
        {
            copy = new CudaMasterCopy(backend, masters);
            backend.MasterCopies.Add(masters, copy);
        }

        copy._users++;
        return copy;
    }

    /// <summary>The copy of a tensor of the buffer.</summary>
    public Tensor View(Tensor values) => new(_copy, values.ByteOffset / sizeof(float) * _real.Size(), _real, values.Shape);

    /// <summary>
    /// Whether this is the first call since a recording began. Recorded work runs again and again while training changes the values, so
    /// it makes the copy itself, before its first use.
    /// </summary>
    /// <param name="recording">Number of the recording under way.</param>
    public bool Renews(int recording)
    {
        bool renews = _recording != recording;
        _recording = recording;
        return renews;
    }

    /// <summary>Frees the copy with its last user.</summary>
    public void Release()
    {
        if (--_users == 0)
        {
            _all.Remove(Masters);
            _copy.Dispose();
        }
    }
}
