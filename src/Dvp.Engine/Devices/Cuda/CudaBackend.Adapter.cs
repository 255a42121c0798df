using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Adapters: kernels/adapter.cu where one kernel does it all, else two products.
public sealed partial class CudaBackend
{
    /// <summary>Hidden channels and rows of a block of adapter.cu.</summary>
    private const int AdapterHidden = 128;
    private const int AdapterRows = 32;

    /// <summary>
    /// Rows from which on the one kernel is used: a block walks through both weights alone, so with fewer than eight blocks two products, which
    /// spread over the device and split their sums, are done sooner.
    /// </summary>
    private const int AdapterFusedRows = 8 * AdapterRows;

    /// <inheritdoc/>
    public override void AdapterForward(Tensor y, Tensor preActivation, Tensor hidden, Tensor x, AdapterParameters adapter)
    {
        const string Operation = nameof(AdapterForward);
        (int rows, int channels, int narrow) = (x.Rows, x.Columns, hidden.Columns);
        if (!OneKernel(rows, narrow, y, x, preActivation, hidden))
        {
            LinearForward(hidden, preActivation, x, adapter.Down, adapter.DownBias, adapter.Activation, residual: null);
            LinearForward(y, null, hidden, adapter.Up, adapter.UpBias, Activation.None, residual: x);
            return;
        }

        RequireAdapter(adapter, y, hidden, x, Operation);
        RequireSame(hidden, preActivation, _real, Operation);
        (Tensor down, Tensor downBias, Tensor up, Tensor upBias) =
            (Form(adapter.Down), Form(adapter.DownBias), Form(adapter.Up), Form(adapter.UpBias));
        Kernel("adapter_forward", "adapter", _real).Launch(
            DivideUp(rows, AdapterRows), 256, 0,
            y, preActivation, hidden, x, down, downBias, up, upBias, rows, channels, narrow,
            y.RowStride, preActivation.RowStride, hidden.RowStride, x.RowStride, (int)adapter.Activation,
            InEights(x), InEights(down), InEights(up),
            InFours(x) & InFours(y) & InFours(upBias), InFours(preActivation) & InFours(hidden) & InFours(downBias));
    }

    /// <inheritdoc/>
    public override void AdapterBackward(
        Tensor? dx, Tensor dhidden, Tensor dy, Tensor x, Tensor preActivation, Tensor hidden, AdapterParameters adapter)
    {
        const string Operation = nameof(AdapterBackward);
        (int rows, int channels, int narrow) = (dy.Rows, dy.Columns, dhidden.Columns);
        if (dx is not null && OneKernel(rows, narrow, dx, dy, dhidden, preActivation))
        {
            RequireAdapter(adapter, dx, dhidden, dy, Operation);
            RequireSame(dhidden, preActivation, _real, Operation);
            (Tensor down, Tensor up) = (Form(adapter.Down), Form(adapter.Up));
            Kernel("adapter_backward", "adapter", _real).Launch(
                DivideUp(rows, AdapterRows), 256, 0,
                dx, dhidden, dy, preActivation, down, up, rows, channels, narrow,
                dx.RowStride, dhidden.RowStride, dy.RowStride, preActivation.RowStride, (int)adapter.Activation,
                InEights(dy), InEights(down), InEights(up), InFours(dx) & InFours(dy), InFours(dhidden));
        }
        else
        {
            LinearInput(dhidden, dy, adapter.Up, residual: null);
            ActivationBackward(dhidden, dhidden, preActivation, adapter.Activation);
            if (dx is not null)
            {
                LinearInput(dx, dhidden, adapter.Down, residual: dy);
            }
        }

        if (adapter.Up.Trains)
        {
            LinearBackwardParameters(adapter.Up.Gradient!, adapter.UpBias.Gradient, dy, hidden);
        }

        if (adapter.Down.Trains)
        {
            LinearBackwardParameters(adapter.Down.Gradient!, adapter.DownBias.Gradient, dhidden, x);
        }
    }

    /// <summary>Whether adapter.cu takes these sizes and types: 16-bit storage throughout, few hidden channels, enough rows.</summary>
    private bool OneKernel(int rows, int narrow, Tensor a, Tensor b, Tensor c, Tensor d) =>
        _real != ElementType.F32 && rows >= AdapterFusedRows && narrow <= AdapterHidden
        && a.Type == _real && b.Type == _real && c.Type == _real && d.Type == _real;

    private static void RequireAdapter(AdapterParameters adapter, Tensor outer, Tensor inner, Tensor input, string operation)
    {
        CudaShapes.Require(outer.Rows == input.Rows && outer.Columns == input.Columns && inner.Rows == input.Rows, operation, outer, input);
        CudaShapes.Require(adapter.Down.Value.Rows == inner.Columns && adapter.Down.Value.Columns == outer.Columns, operation, inner, adapter.Down.Value);
        CudaShapes.Require(adapter.Up.Value.Rows == outer.Columns && adapter.Up.Value.Columns == inner.Columns, operation, outer, adapter.Up.Value);
        CudaShapes.Require(adapter.DownBias.Value.Count == inner.Columns && adapter.UpBias.Value.Count == outer.Columns, operation, outer, inner);
    }
}
