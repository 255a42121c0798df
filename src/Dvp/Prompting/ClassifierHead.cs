using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Prompting;

/// <summary>The answer classifier: Linear(C, 2C), LayerNorm, GELU, Linear(2C, answers); for LLaMA C/8 in place of 2C.</summary>
public sealed class ClassifierHead
{
    private const float NormEpsilon = 1e-5f;
    private readonly ParameterBlock _dense;
    private readonly ParameterBlock _denseBias;
    private readonly ParameterBlock _gamma;
    private readonly ParameterBlock _beta;
    private readonly ParameterBlock _output;
    private readonly ParameterBlock _outputBias;

    /// <summary>Makes the parameters <c>head.0</c>, <c>head.1</c> and <c>head.3</c> (number 2 is the activation).</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="channels">C</param>
    /// <param name="parameters">Names at the root.</param>
    /// <param name="initial">Values of what the checkpoint lacks.</param>
    /// <param name="uniform">Whether the linears start uniform in +-1/sqrt(inputs), as LLaMA's do for one-label tasks, not N(0, 0.02).</param>
    public ClassifierHead(HeadConfig config, int channels, ParameterBuilder parameters, InitialValues initial, bool uniform = false)
    {
        ParameterBuilder head = parameters["head"];
        int hidden = config.HiddenSize;
        Initializer Weight(string name, int inputs) => uniform ? initial.Uniform(name, inputs) : initial.Normal(name, 0.02);
        Initializer Bias(string name, int inputs) => uniform ? initial.Uniform(name, inputs) : InitialValues.Constant(0);
        _dense = head.Matrix("0.weight", hidden, channels, Weight("head.0.weight", channels));
        _denseBias = head.Vector("0.bias", hidden, Bias("head.0.bias", channels));
        _gamma = head.Vector("1.weight", hidden, InitialValues.Constant(1));
        _beta = head.Vector("1.bias", hidden, InitialValues.Constant(0));
        _output = head.Matrix("3.weight", config.Labels, hidden, Weight("head.3.weight", hidden));
        _outputBias = head.Vector("3.bias", config.Labels, Bias("head.3.bias", hidden));
    }

    /// <summary>Records the logits (B, answers) of output states (B, C).</summary>
    public Variable Forward(Graph graph, Variable state)
    {
        Variable t = graph.LayerNorm(graph.Linear(state, _dense, _denseBias), null, _gamma, _beta, NormEpsilon);
        return graph.Linear(graph.Activate(t, Activation.GeluErf), _output, _outputBias);
    }
}
