using Dvp.Engine;
using Dvp.Engine.Autograd;
using Dvp.Engine.Tensors;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Autograd;

/// <summary>
/// A recorded graph in double precision whose gradients are compared with central differences, element by element. The graph is replayed
/// for every difference, as training replays it for every batch.
/// </summary>
internal sealed class GradientBench : IDisposable
{
    private const double Step = 1e-5;
    private const double Tolerance = 1e-8;
    private readonly Arena _values;
    private readonly Arena _activations;
    private readonly SeededRandom _random = new(0x6AD);
    private readonly List<(string Name, Tensor Value, Func<Tensor?> Gradient)> _leaves = [];
    private readonly List<ParameterBlock> _parameters = [];

    public GradientBench(bool dropout = false)
    {
        Device = new ReferenceBackend();
        _values = new Arena(Device, 1 << 16);
        _activations = new Arena(Device, 1 << 16);
        Tensor? state = null;
        if (dropout)
        {
            state = _values.Allocate(ElementType.I32, 4);
            Device.Upload(state, (int[])[17, 0, 5, 0]);
        }

        Graph = new Graph(Device, _activations, training: true, state);
    }

    public ReferenceBackend Device { get; }

    public Graph Graph { get; }

    public void Dispose()
    {
        _activations.Dispose();
        _values.Dispose();
        Device.Dispose();
    }

    /// <summary>Random values away from zero, where the slope of ReLU jumps.</summary>
    public Tensor Random(params ReadOnlySpan<int> shape)
    {
        Tensor tensor = _values.Allocate(ElementType.F64, shape);
        double[] values = new double[tensor.Count];
        for (int i = 0; i < values.Length; i++)
        {
            double magnitude = 0.1 + _random.NextDouble();
            values[i] = _random.NextInt(2) == 0 ? magnitude : -magnitude;
        }

        Device.Upload(tensor, values);
        return tensor;
    }

    public Variable Integers(int[] values, params ReadOnlySpan<int> shape)
    {
        Tensor tensor = _values.Allocate(ElementType.I32, shape);
        Device.Upload(tensor, values);
        return Graph.Constant(tensor);
    }

    public Variable Constant(params ReadOnlySpan<int> shape) => Graph.Constant(Random(shape));

    /// <summary>A variable whose gradient is compared.</summary>
    public Variable Leaf(params ReadOnlySpan<int> shape)
    {
        Variable leaf = Graph.Leaf(Random(shape));
        _leaves.Add(($"leaf {_leaves.Count}", leaf.Value, () => leaf.Gradient));
        return leaf;
    }

    /// <summary>A parameter whose gradient is compared, or a frozen one.</summary>
    public ParameterBlock Parameter(bool trains, params ReadOnlySpan<int> shape)
    {
        ParameterBlock block = new(Random(shape), trains ? _values.Allocate(ElementType.F64, shape) : null);
        _parameters.Add(block);
        if (trains)
        {
            _leaves.Add(($"parameter {_parameters.Count}", block.Value, () => block.Gradient));
        }

        return block;
    }

    /// <summary>Compares with the loss sum(x * random) over all outputs.</summary>
    public void Check(params Variable[] outputs)
    {
        Tensor[] weights = new Tensor[outputs.Length];
        for (int i = 0; i < outputs.Length; i++)
        {
            weights[i] = Random(outputs[i].Value.Shape);
            Graph.Cotangent(outputs[i], Graph.Constant(weights[i]));
        }

        Check(() =>
        {
            double sum = 0;
            for (int i = 0; i < outputs.Length; i++)
            {
                double[] x = Values(outputs[i].Value);
                double[] w = Values(weights[i]);
                for (int e = 0; e < x.Length; e++)
                {
                    sum += x[e] * w[e];
                }
            }

            return sum;
        });
    }

    /// <summary>Compares with a loss that an operator computed.</summary>
    public void Check(Tensor loss) => Check(() => Values(loss)[0]);

    public double[] Values(Tensor tensor)
    {
        double[] values = new double[tensor.Count];
        Device.Download(values, tensor);
        return values;
    }

    private void Check(Func<double> loss)
    {
        Graph.Backward();
        double[][] gradients = Run();
        double[][] again = Run();
        for (int i = 0; i < gradients.Length; i++)
        {
            Assert.Equal(gradients[i], again[i]); // a replay leaves nothing behind
            Assert.Contains(gradients[i], g => g != 0);
        }

        for (int i = 0; i < gradients.Length; i++)
        {
            (string name, Tensor value, _) = _leaves[i];
            double scale = gradients[i].Max(Math.Abs);
            double[] at = Values(value);
            for (int e = 0; e < at.Length; e++)
            {
                double difference = (Loss(e, Step) - Loss(e, -Step)) / (2 * Step);
                Assert.True(
                    Math.Abs(difference - gradients[i][e]) <= Tolerance * (1 + scale),
                    $"{name}[{e}]: gradient {gradients[i][e]:R}, difference {difference:R}");
            }

            double Loss(int element, double by)
            {
                double[] moved = [.. at];
                moved[element] += by;
                Device.Upload(value, moved);
                Graph.RunForward();
                double result = loss();
                Device.Upload(value, at);
                return result;
            }
        }
    }

    private double[][] Run()
    {
        foreach (ParameterBlock block in _parameters)
        {
            if (block.Gradient is { } gradient)
            {
                Device.Fill(gradient, 0);
            }
        }

        Graph.RunForward();
        Graph.RunBackward();
        return [.. _leaves.Select(l => Values(l.Gradient() ?? throw new InvalidOperationException($"{l.Name} got no gradient.")))];
    }
}
