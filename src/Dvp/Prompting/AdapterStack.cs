using Dvp.Engine.Devices;
using Dvp.Engine.Nn;

namespace Dvp.Prompting;

/// <summary>Makes the adapters of a stack of layers, numbered through: <c>adapters.0</c>, <c>adapters.1</c>, ...</summary>
internal static class AdapterStack
{
    /// <summary>Makes all adapters of a stack.</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="scope">First part of the names.</param>
    /// <param name="count">Number of adapters.</param>
    /// <param name="channels">C</param>
    /// <param name="parameters">Names at the root.</param>
    /// <param name="matrix">Initial values of a matrix by name, inputs and outputs.</param>
    public static AdapterParameters[] Make(
        AdapterConfig config, string scope, int count, int channels, ParameterBuilder parameters, Func<string, int, int, Initializer> matrix)
    {
        AdapterParameters[] adapters = new AdapterParameters[count];
        int inner = config.HiddenSize;
        for (int i = 0; i < count; i++)
        {
            ParameterBuilder p = parameters[scope][$"{i}"];
            adapters[i] = new AdapterParameters(
                p.Matrix("down.weight", inner, channels, matrix($"{scope}.{i}.down", channels, inner)),
                p.Vector("down.bias", inner, InitialValues.Constant(0)),
                p.Matrix("up.weight", channels, inner, matrix($"{scope}.{i}.up", inner, channels)),
                p.Vector("up.bias", channels, InitialValues.Constant(0)),
                config.Activation);
        }

        return adapters;
    }
}
