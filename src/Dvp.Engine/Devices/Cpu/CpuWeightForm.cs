using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// A weight in the order in which matrix products read it, for each direction from its first use on; packed again, in place, when the
/// weight has changed since.
/// </summary>
internal sealed unsafe class CpuWeightForm : IDisposable
{
    private PackedMatrix? _forward;
    private PackedMatrix? _backward;
    private int _forwardVersion;
    private int _backwardVersion;

    /// <summary>The panels of a weight for a product, up to date.</summary>
    internal static PackedMatrix Of(ParameterBlock weight, PackedUse use, CpuThreadPool pool)
    {
        if (weight.DeviceForm is not CpuWeightForm form)
        {
            form = new CpuWeightForm();
            weight.DeviceForm = form;
        }

        return use == PackedUse.Forward
            ? Current(ref form._forward, ref form._forwardVersion, weight, use, pool)
            : Current(ref form._backward, ref form._backwardVersion, weight, use, pool);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _forward?.Dispose();
        _backward?.Dispose();
        _forward = null;
        _backward = null;
    }

    private static PackedMatrix Current(
        ref PackedMatrix? packed, ref int version, ParameterBlock weight, PackedUse use, CpuThreadPool pool)
    {
        int current = weight.Version;
        if (packed is null || version != current)
        {
            // 16-bit weights stay 16-bit: half the memory traffic, and the loader decided so.
            Tensor value = weight.Value;
            packed ??= new PackedMatrix(use, value.Rows, value.Columns, value.Type);
            packed.Pack(pool, (void*)value.Address, value.Type, value.RowStride);
            version = current;
        }

        return packed;
    }
}
