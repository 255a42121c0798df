using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// A parameter as kernels read it, where its own values are of another type: a copy in the device's storage type. Parts of a block view the
/// copy of the whole.
/// </summary>
internal sealed class CudaWeightForm : IDisposable
{
    private readonly DeviceBuffer? _buffer; // null in a part
    private int _version = -1;
    private int _recording = -1;

    private CudaWeightForm(Tensor value, DeviceBuffer? buffer) => (Value, _buffer) = (value, buffer);

    /// <summary>The copy.</summary>
    public Tensor Value { get; }

    /// <summary>The form of a block that is no part, made on first use.</summary>
    public static CudaWeightForm OfWhole(CudaBackend backend, ParameterBlock whole)
    {
        if (whole.DeviceForm is not CudaWeightForm form)
        {
            Tensor values = whole.Value;
            ElementType real = backend.ActivationType;
            DeviceBuffer buffer = backend.Allocate(values.Count * real.Size());
            form = new CudaWeightForm(new Tensor(buffer, 0, real, values.Shape), buffer);
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
            form = new CudaWeightForm(new Tensor(copy.Buffer, start * copy.Type.Size(), copy.Type, part.Value.Shape), null);
            part.DeviceForm = form;
        }

        return form;
    }

    /// <summary>
    /// Whether the copy must be made again. Work that is being recorded runs again and again while training changes the values, so it makes
    /// the copy of what trains itself, once.
    /// </summary>
    /// <param name="block">The whole block.</param>
    /// <param name="recording">Number of the recording under way; 0 for none.</param>
    public bool Renews(ParameterBlock block, int recording)
    {
        bool renews = _version != block.Version || (recording != 0 && block.Trains && _recording != recording);
        (_version, _recording) = (block.Version, recording == 0 ? _recording : recording);
        return renews;
    }

    /// <inheritdoc/>
    public void Dispose() => _buffer?.Dispose();
}
