using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Models;

/// <summary>The residual stream of pre-norm models.</summary>
internal static class ResidualStream
{
    /// <summary>Records h + dropout(A(x W^T)), A being an adapter or nothing; one operator where there is neither adapter nor dropout.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(..., C) the stream</param>
    /// <param name="x">(..., K) what the branch computed</param>
    /// <param name="output">(C, K) the branch's output projection</param>
    /// <param name="adapter">The adapter, or null.</param>
    /// <param name="dropout">Dropout before the sum.</param>
    public static Variable Add(
        Graph graph, Variable h, Variable x, ParameterBlock output, AdapterParameters? adapter, float dropout = 0)
    {
        if (adapter is null && (graph.DropoutState is null || dropout == 0))
        {
            return graph.Linear(x, output, null, Activation.None, residual: h);
        }

        Variable y = graph.Linear(x, output, null);
        y = adapter is null ? y : graph.Adapter(y, adapter);
        return graph.Add(h, graph.Dropout(y, dropout));
    }
}
