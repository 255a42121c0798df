using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void AdapterForward(Tensor y, Tensor preActivation, Tensor hidden, Tensor x, AdapterParameters adapter)
    {
        NoteLaunch();
        Linear(hidden, preActivation, x, adapter.Down, adapter.DownBias, adapter.Activation, residual: null);
        Linear(y, null, hidden, adapter.Up, adapter.UpBias, Activation.None, residual: x);
    }

    /// <inheritdoc/>
    public override void AdapterBackward(
        Tensor? dx, Tensor dhidden, Tensor dy, Tensor x, Tensor preActivation, Tensor hidden, AdapterParameters adapter)
    {
        const string Operation = nameof(AdapterBackward);
        NoteLaunch();
        if (adapter.Up.Trains)
        {
            LinearParameters(adapter.Up.Gradient!, adapter.UpBias.Gradient, dy, hidden);
        }

        LinearInput(dhidden, dy, adapter.Up, residual: null, accumulate: false);
        ActivationContext a = new()
        {
            Y = new View(dhidden, Operation),
            Gradient = new View(dhidden, Operation),
            X = new View(preActivation, Operation),
            RowsOfPiece = ActivationRows(dhidden),
        };
        RequireEqual(dhidden, preActivation, Operation);
        RunActivation(adapter.Activation, dhidden.Rows, ref a, gradient: true);
        if (adapter.Down.Trains)
        {
            LinearParameters(adapter.Down.Gradient!, adapter.DownBias.Gradient, dhidden, x);
        }

        if (dx is not null)
        {
            LinearInput(dx, dhidden, adapter.Down, residual: dy, accumulate: false);
        }
    }
}
