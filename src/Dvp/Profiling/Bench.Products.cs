using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Profiling;

public sealed partial class Bench
{
    private static readonly int[] s_rows = [1, 16, 17, 64, 256, 1024];
    private static readonly (int Inputs, int Outputs)[] s_weights = [(384, 384), (768, 768), (768, 3072), (3072, 768)];

    /// <summary>Products on packed weights through the device's own operator, bias fused; forward, and both backward products at one
    /// size.</summary>
    private void MeasureProducts(Backend backend, int threads)
    {
        foreach ((int inputs, int outputs) in s_weights)
        {
            MeasurePeak(threads);
            foreach (int rows in s_rows)
            {
                using Product product = new(backend, rows, inputs, outputs, ElementType.F32);
                Measure("product", Text($"{rows} x {inputs} x {outputs}, {Threads(threads)}"), threads, product.Flops, product.Forward);
            }
        }

        foreach (int rows in new[] { 17, 256 })
        {
            using Product narrow = new(backend, rows, 768, 3072, ElementType.BF16);
            Measure("product", Text($"{rows} x 768 x 3072, weights bf16, {Threads(threads)}"), threads, narrow.Flops, narrow.Forward);
        }

        MeasurePeak(threads);
        using Product both = new(backend, 272, 768, 768, ElementType.F32);
        Measure("product", Text($"272 x 768 x 768, gradient of the input, {Threads(threads)}"), threads, both.Flops, both.BackwardInput);
        Measure("product", Text($"272 x 768 x 768, gradient of the weight, {Threads(threads)}"), threads, both.Flops, both.BackwardWeight);
        MeasurePeak(threads);
    }

    private static string Threads(int threads) => threads == 1 ? "1 thread" : Text($"{threads} threads");

    /// <summary>The operands of a linear layer.</summary>
    private sealed class Product : IDisposable
    {
        private readonly Backend _backend;
        private readonly List<DeviceBuffer> _buffers = [];
        private readonly Tensor _x;
        private readonly Tensor _y;
        private readonly Tensor _dx;
        private readonly ParameterBlock _weight;
        private readonly ParameterBlock _bias;

        public Product(Backend backend, int rows, int inputs, int outputs, ElementType stored)
        {
            _backend = backend;
            Flops = 2.0 * rows * inputs * outputs;
            SeededRandom random = new(1);
            _x = Filled(random, ElementType.F32, rows, inputs);
            _y = Filled(random, ElementType.F32, rows, outputs);
            _dx = Filled(random, ElementType.F32, rows, inputs);
            _weight = new ParameterBlock(
                Filled(random, stored, outputs, inputs),
                stored == ElementType.F32 ? Filled(random, ElementType.F32, outputs, inputs) : null);
            _bias = new ParameterBlock(Filled(random, ElementType.F32, outputs), null);
            _weight.Touch();
        }

        public double Flops { get; }

        public void Forward()
        {
            _backend.LinearForward(_y, null, _x, _weight, _bias, Activation.None, null);
            _backend.Synchronize();
        }

        public void BackwardInput()
        {
            _backend.LinearBackwardInput(_dx, _y, _weight, accumulate: false);
            _backend.Synchronize();
        }

        public void BackwardWeight()
        {
            _backend.LinearBackwardParameters(_weight.Gradient!, null, _y, _x);
            _backend.Synchronize();
        }

        public void Dispose()
        {
            _weight.ReleaseDeviceForms();
            _bias.ReleaseDeviceForms();
            _buffers.ForEach(b => b.Dispose());
        }

        private Tensor Filled(SeededRandom random, ElementType type, params ReadOnlySpan<int> shape)
        {
            int count = 1;
            foreach (int extent in shape)
            {
                count *= extent;
            }

            DeviceBuffer buffer = _backend.Allocate((long)count * type.Size());
            _buffers.Add(buffer);
            Tensor tensor = new(buffer, 0, type, shape);
            float[] values = new float[count];
            random.FillUniform(values, -1, 1);
            _backend.Upload(tensor, values);
            return tensor;
        }
    }
}
