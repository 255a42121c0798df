using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// kernels/elementwise.cu: the storage type of these kernels is that of the result, `from` that of what is read.
public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public override void Fill(Tensor y, float value)
    {
        // Integers are filled with the float that has their bits: nothing computes with it.
        ElementType type = y.Type == ElementType.I32 ? ElementType.F32 : y.Type;
        float filling = y.Type == ElementType.I32 ? BitConverter.Int32BitsToSingle((int)value) : value;
        CudaShapes.Require(IsStored(type), nameof(Fill), y);
        RowPlan plan = Elements(y);
        Kernel("elementwise_fill", "elementwise", type).Launch(
            plan.Grid, plan.Block, sharedBytes: 0, KernelArgument.Address(y.Address), filling, plan.Columns, y.RowStride, plan.Wide);
    }

    /// <inheritdoc/>
    public override void Copy(Tensor y, Tensor x)
    {
        CheckCopy(nameof(Copy), y, x);
        bool integers = y.Type == ElementType.I32 && x.Type == ElementType.I32;
        RowPlan plan = Elements(y, x);
        CudaKernel kernel = integers
            ? Kernel("elementwise_copy", "elementwise", ElementType.F32)
            : Kernel("elementwise_copy", "elementwise", y.Type, FromOption(y, x, nameof(Copy)));
        kernel.Launch(
            plan.Grid, plan.Block, sharedBytes: 0,
            KernelArgument.Address(y.Address), KernelArgument.Address(x.Address), plan.Columns, y.RowStride, x.RowStride, plan.Wide);
    }

    /// <inheritdoc/>
    public override void Add(Tensor y, Tensor x)
    {
        CheckCopy(nameof(Add), y, x);
        RowPlan plan = Elements(y, x);
        Kernel("elementwise_add", "elementwise", y.Type, FromOption(y, x, nameof(Add))).Launch(
            plan.Grid, plan.Block, sharedBytes: 0, y, x, plan.Columns, y.RowStride, x.RowStride, plan.Wide);
    }

    /// <inheritdoc/>
    public override void DropoutApply(Tensor y, Tensor x, Dropout dropout, bool accumulate)
    {
        const string Operation = nameof(DropoutApply);
        CudaShapes.RequireEqual(y, x, Operation);
        KernelArgument factors = (Tensor?)null;
        bool wideFactors = true;
        if (dropout.KeepMask is { } mask)
        {
            CudaShapes.Require(mask.Count == y.Count && mask.IsContiguous, Operation, mask, y);
            (factors, wideFactors) = MaskInFloat(mask);
        }
        else
        {
            RequireState(dropout, Operation);
        }

        RowPlan plan = Elements(y, x);
        plan = plan with { Wide = wideFactors ? plan.Wide : 0 };
        Kernel("dropout_apply", "elementwise", y.Type, FromOption(y, x, Operation)).Launch(
            plan.Grid, plan.Block, sharedBytes: 0,
            y, x, dropout.State, factors, dropout.Site, dropout.Rate, plan.Columns, y.RowStride, x.RowStride, accumulate ? 1 : 0, plan.Wide);
    }

    /// <inheritdoc/>
    public override void ActivationForward(Tensor y, Tensor x, Activation activation)
    {
        const string Operation = nameof(ActivationForward);
        CudaShapes.RequireEqual(y, x, Operation);
        RowPlan plan = Elements(y, x);
        Kernel("activation_forward", "elementwise", y.Type, FromOption(y, x, Operation)).Launch(
            plan.Grid, plan.Block, sharedBytes: 0, y, x, (int)activation, plan.Columns, y.RowStride, x.RowStride, plan.Wide);
    }

    /// <inheritdoc/>
    public override void ActivationBackward(Tensor dx, Tensor dy, Tensor preActivation, Activation activation)
    {
        const string Operation = nameof(ActivationBackward);
        CudaShapes.RequireEqual(dx, dy, Operation);
        CudaShapes.RequireEqual(dx, preActivation, Operation);
        RequireType(preActivation, dx.Type, Operation);
        RowPlan plan = Elements(dx, dy, preActivation);
        Kernel("activation_backward", "elementwise", dx.Type, FromOption(dx, dy, Operation)).Launch(
            plan.Grid, plan.Block, sharedBytes: 0,
            dx, dy, preActivation, (int)activation, plan.Columns, dx.RowStride, dy.RowStride, preActivation.RowStride, plan.Wide);
    }

    /// <summary>A dropout that draws from the stream needs its state.</summary>
    private static void RequireState(Dropout dropout, string operation)
    {
        if (dropout.State is not { Type: ElementType.I32, Count: 4, IsContiguous: true })
        {
            throw new ArgumentException($"{operation}: dropout needs its state, I32 (4), or an explicit mask.", nameof(dropout));
        }
    }

    /// <summary>Explicit factors as the kernel reads them; a mask of another type goes through scratch memory.</summary>
    private (KernelArgument Factors, bool Wide) MaskInFloat(Tensor mask)
    {
        if (mask.Type == ElementType.F32)
        {
            return (mask, Aligned(mask));
        }

        KernelArgument copy = KernelArgument.Address(Scratch(mask.Count * sizeof(float)));
        RowPlan plan = Elements(mask);
        Kernel("elementwise_copy", "elementwise", ElementType.F32, FromOption(ElementType.F32, mask, nameof(DropoutApply))).Launch(
            plan.Grid, plan.Block, sharedBytes: 0, copy, mask, plan.Columns, mask.Columns, mask.RowStride, plan.Wide);
        return (copy, true);
    }

    private static void CheckCopy(string operation, Tensor y, Tensor x) =>
        CudaShapes.Require(y.Count == x.Count && (y.Columns == x.Columns || (y.IsContiguous && x.IsContiguous)), operation, y, x);

    private static bool IsStored(ElementType type) => type is ElementType.F32 or ElementType.BF16 or ElementType.F16;

    private static string FromOption(Tensor y, Tensor x, string operation) => FromOption(y.Type, x, operation);

    private static string FromOption(ElementType type, Tensor x, string operation)
    {
        CudaShapes.Require(IsStored(type) && IsStored(x.Type), operation, x);
        return type == x.Type ? "" : x.Type switch
        {
            ElementType.F32 => "from=f32",
            ElementType.BF16 => "from=bf16",
            _ => "from=f16",
        };
    }
}
