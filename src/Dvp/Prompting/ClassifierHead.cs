using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Prompting;

/// <summary>The answer classifier: Linear(C, 2C), LayerNorm, GELU, Linear(2C, answers).</summary>
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
    public ClassifierHead(HeadConfig config, int channels, ParameterBuilder parameters, InitialValues initial)
    {
        ParameterBuilder head = parameters["head"];
        int hidden = config.HiddenSize;
        _dense = head.Matrix("0.weight", hidden, channels, initial.Normal("head.0.weight", 0.02));
        _denseBias = head.Vector("0.bias", hidden, InitialValues.Constant(0));
        _gamma = head.Vector("1.weight", hidden, InitialValues.Constant(1));
        _beta = head.Vector("1.bias", hidden, InitialValues.Constant(0));
        _output = head.Matrix("3.weight", config.Labels, hidden, initial.Normal("head.3.weight", 0.02));
        _outputBias = head.Vector("3.bias", config.Labels, InitialValues.Constant(0));
    }

    /// <summary>Records the logits (B, answers) of output states (B, C).</summary>
    public Variable Forward(Graph graph, Variable state)
    {
        Variable t = graph.LayerNorm(graph.Linear(state, _dense, _denseBias), null, _gamma, _beta, NormEpsilon);
        return graph.Linear(graph.Activate(t, Activation.GeluErf), _output, _outputBias);
    }
}
