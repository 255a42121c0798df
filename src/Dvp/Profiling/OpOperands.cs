using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Profiling;

/// <summary>Random operands of operators on a device, freed together.</summary>
/// <param name="backend">The device.</param>
internal sealed class OpOperands(Backend backend) : IDisposable
{
    private readonly List<DeviceBuffer> _buffers = [];
    private readonly List<ParameterBlock> _parameters = [];
    private readonly SeededRandom _random = new(1);

    /// <summary>The device.</summary>
    public Backend Backend => backend;

    /// <summary>Activations of uniform values, in the device's storage type.</summary>
    public Tensor Activations(params ReadOnlySpan<int> shape) => Values(backend.ActivationType, shape);

    /// <summary>Statistics, sums and gradients of parameters, in f32.</summary>
    public Tensor Sums(params ReadOnlySpan<int> shape) => Values(ElementType.F32, shape);

    /// <summary>Second moments: f32, none negative.</summary>
    public Tensor Squares(params ReadOnlySpan<int> shape) => Values(ElementType.F32, shape, lowest: 0);

    /// <summary>Integers below a bound.</summary>
    public Tensor Integers(int bound, params ReadOnlySpan<int> shape)
    {
        Tensor tensor = Allocate(ElementType.I32, shape);
        int[] values = new int[tensor.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = _random.NextInt(bound);
        }

        backend.Upload(tensor, values);
        return tensor;
    }

    /// <summary>A frozen parameter, in the device's storage type; or one that trains, in f32 with its gradient.</summary>
    public ParameterBlock Parameter(bool trains, params ReadOnlySpan<int> shape)
    {
        ParameterBlock block = new(trains ? Sums(shape) : Activations(shape), trains ? Sums(shape) : null);
        block.Touch();
        _parameters.Add(block);
        return block;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _parameters.ForEach(p => p.ReleaseDeviceForms());
        _buffers.ForEach(b => b.Dispose());
    }

    private Tensor Values(ElementType type, ReadOnlySpan<int> shape, double lowest = -1)
    {
        Tensor tensor = Allocate(type, shape);
        float[] values = new float[tensor.Count];
        _random.FillUniform(values.AsSpan(0, Math.Min(values.Length, 65521)), lowest, 1); // a prime: repeated blocks leave rows different
        for (int start = 65521; start < values.Length; start += 65521)
        {
            values.AsSpan(0, Math.Min(65521, values.Length - start)).CopyTo(values.AsSpan(start));
        }

        backend.Upload(tensor, values);
        return tensor;
    }

    private Tensor Allocate(ElementType type, ReadOnlySpan<int> shape)
    {
        long count = 1;
        foreach (int extent in shape)
        {
            count *= extent;
        }

        DeviceBuffer buffer = backend.Allocate(count * type.Size());
        _buffers.Add(buffer);
        return new Tensor(buffer, 0, type, shape);
    }
}
