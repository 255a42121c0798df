using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Adapters: y = x + up(activation(down(x))).
public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public override void AdapterForward(Tensor y, Tensor preActivation, Tensor hidden, Tensor x, AdapterParameters adapter)
    {
        LinearForward(hidden, preActivation, x, adapter.Down, adapter.DownBias, adapter.Activation, residual: null);
        LinearForward(y, null, hidden, adapter.Up, adapter.UpBias, Activation.None, residual: x);
    }

    /// <inheritdoc/>
    public override void AdapterBackward(
        Tensor? dx, Tensor dhidden, Tensor dy, Tensor x, Tensor preActivation, Tensor hidden, AdapterParameters adapter)
    {
        if (adapter.Up.Trains)
        {
            LinearBackwardParameters(adapter.Up.Gradient!, adapter.UpBias.Gradient, dy, hidden);
        }

        LinearInput(dhidden, dy, adapter.Up, residual: null);
        ActivationBackward(dhidden, dhidden, preActivation, adapter.Activation);
        if (adapter.Down.Trains)
        {
            LinearBackwardParameters(adapter.Down.Gradient!, adapter.DownBias.Gradient, dhidden, x);
        }

        if (dx is not null)
        {
            LinearInput(dx, dhidden, adapter.Down, residual: dy);
        }
    }
}
