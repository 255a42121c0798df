using System.Buffers;
using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Optimiser: kernels/adamw.cu, kernels/global_norm.cu, kernels/loss_scale.cu. The first two walk tables in device memory, so a step over
// hundreds of tensors is two launches each.
public sealed partial class CudaBackend
{
    private const int OptimizerThreads = 256;

    /// <summary>Elements of one block: 16 a thread of the norm's sums, few enough blocks that the table stays small.</summary>
    private const int OptimizerPiece = 16 * OptimizerThreads;

    private readonly DeviceTables<IReadOnlyList<AdamWParameter>, AdamWRow> _adamWTables = new();
    private readonly DeviceTables<IReadOnlyList<Tensor>, GradientRow> _normTables = new();

    /// <summary>struct Tensor of adamw.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct AdamWRow
    {
        internal nint Value;
        internal nint Gradient;
        internal nint First;
        internal nint Second;
        internal long Count;
        internal float RateMultiplier;
        internal float Decay;
        internal int Active;
        internal int IsWide;
    }

    /// <summary>struct Piece of adamw.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct AdamWPiece
    {
        internal long Start;
        internal int Tensor;
        internal int Count;
    }

    /// <summary>A gradient of a norm; struct Run of global_norm.cu has the same fields for a piece of one.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct GradientRow
    {
        internal nint Start;
        internal int Count;
        internal int IsWide;
    }

    /// <summary>Bytes of struct Step of adamw.cu.</summary>
    private const int AdamWStepBytes = 6 * sizeof(float);

    /// <inheritdoc/>
    public override void GlobalNorm(Tensor norm, IReadOnlyList<Tensor> gradients, Tensor? lossScale = null)
    {
        const string Operation = nameof(GlobalNorm);
        CudaShapes.RequireFlat(norm, ElementType.F32, 1, Operation);
        CudaShapes.RequireNumber(lossScale, Operation);
        GradientRow[] rows = ArrayPool<GradientRow>.Shared.Rent(Math.Max(gradients.Count, 1));
        for (int i = 0; i < gradients.Count; i++)
        {
            Tensor gradient = gradients[i];
            CudaShapes.RequireFlat(gradient, ElementType.F32, gradient.Count, Operation);
            rows[i] = new GradientRow { Start = gradient.Address, Count = checked((int)gradient.Count), IsWide = IsAllFours(gradient) };
        }

        ReadOnlySpan<GradientRow> described = rows.AsSpan(0, gradients.Count);
        DeviceTables<IReadOnlyList<Tensor>, GradientRow>.Entry tables = _normTables.Find(gradients, described) ?? AddNormTables(gradients, described);
        ArrayPool<GradientRow>.Shared.Return(rows);

        Kernel("global_norm_pieces", "global_norm", ElementType.F32).Launch(tables.PieceCount, OptimizerThreads, 0,
            KernelArgument.Address(tables.Results.Address), KernelArgument.Address(tables.Pieces.Address));
        Kernel("global_norm_total", "global_norm", ElementType.F32).Launch(1, OptimizerThreads, 0,
            norm, KernelArgument.Address(tables.Results.Address), lossScale, tables.PieceCount);
    }

    /// <inheritdoc/>
    public override void AdamW(
        IReadOnlyList<AdamWParameter> parameters, in AdamWOptions options, Tensor rate, Tensor updateCounts, Tensor? norm, Tensor? loss,
        Tensor? lossScale = null)
    {
        const string Operation = nameof(AdamW);
        CudaShapes.RequireFlat(rate, ElementType.F32, 1, Operation);
        CudaShapes.RequireFlat(updateCounts, ElementType.I32, parameters.Count, Operation);
        CudaShapes.RequireNumber(lossScale, Operation);
        AdamWRow[] rows = ArrayPool<AdamWRow>.Shared.Rent(Math.Max(parameters.Count, 1));
        for (int i = 0; i < parameters.Count; i++)
        {
            rows[i] = Describe(parameters[i], Operation);
        }

        ReadOnlySpan<AdamWRow> described = rows.AsSpan(0, parameters.Count);
        DeviceTables<IReadOnlyList<AdamWParameter>, AdamWRow>.Entry tables =
            _adamWTables.Find(parameters, described) ?? AddAdamWTables(parameters, described);
        ArrayPool<AdamWRow>.Shared.Return(rows);

        KernelArgument steps = KernelArgument.Address(tables.Results.Address);
        KernelArgument table = KernelArgument.Address(tables.Table.Address);
        Kernel("adamw_prepare", "adamw", ElementType.F32).Launch(DivideUp(parameters.Count, OptimizerThreads), OptimizerThreads, 0,
            steps, updateCounts, table, rate, norm, loss, lossScale,
            parameters.Count, options.Beta1, options.Beta2, options.MaxNorm, options.DecoupledFirst ? 1 : 0);
        Kernel("adamw_update", "adamw", ElementType.F32).Launch(tables.PieceCount, OptimizerThreads, 0,
            table, steps, KernelArgument.Address(tables.Pieces.Address), options.Beta1, options.Beta2, options.Epsilon);
    }

    /// <inheritdoc/>
    public override void UpdateLossScale(Tensor state, Tensor norm, in LossScaleOptions options)
    {
        const string Operation = nameof(UpdateLossScale);
        CudaShapes.RequireFlat(state, ElementType.F32, 3, Operation);
        CudaShapes.RequireFlat(norm, ElementType.F32, 1, Operation);
        Kernel("loss_scale_update", "loss_scale", ElementType.F32).Launch(
            grid: 1, block: 1, sharedBytes: 0,
            state, norm, options.Interval, options.Growth, options.Shrinkage, options.Smallest, options.Largest);
    }

    private DeviceTables<IReadOnlyList<Tensor>, GradientRow>.Entry AddNormTables(IReadOnlyList<Tensor> gradients, ReadOnlySpan<GradientRow> rows)
    {
        List<GradientRow> pieces = [];
        foreach (GradientRow row in rows)
        {
            for (long start = 0; start < row.Count; start += OptimizerPiece)
            {
                pieces.Add(new GradientRow
                {
                    Start = row.Start + (nint)(start * sizeof(float)),
                    Count = (int)Math.Min(OptimizerPiece, row.Count - start),
                    IsWide = row.IsWide,
                });
            }
        }

        return _normTables.Add(this, gradients, rows, CollectionsMarshal.AsSpan(pieces), (long)pieces.Count * sizeof(float));
    }

    private DeviceTables<IReadOnlyList<AdamWParameter>, AdamWRow>.Entry AddAdamWTables(
        IReadOnlyList<AdamWParameter> parameters, ReadOnlySpan<AdamWRow> rows)
    {
        List<AdamWPiece> pieces = [];
        for (int i = 0; i < rows.Length; i++)
        {
            for (long start = 0; rows[i].Active != 0 && start < rows[i].Count; start += OptimizerPiece)
            {
                pieces.Add(new AdamWPiece { Start = start, Tensor = i, Count = (int)Math.Min(OptimizerPiece, rows[i].Count - start) });
            }
        }

        return _adamWTables.Add(this, parameters, rows, CollectionsMarshal.AsSpan(pieces), (long)rows.Length * AdamWStepBytes);
    }

    private void DisposeOptimizer()
    {
        _adamWTables.Dispose();
        _normTables.Dispose();
    }

    private static AdamWRow Describe(AdamWParameter parameter, string operation)
    {
        long count = parameter.Value.Count;
        CudaShapes.RequireFlat(parameter.Value, ElementType.F32, count, operation);
        CudaShapes.RequireFlat(parameter.Gradient, ElementType.F32, count, operation);
        CudaShapes.RequireFlat(parameter.FirstMoment, ElementType.F32, count, operation);
        CudaShapes.RequireFlat(parameter.SecondMoment, ElementType.F32, count, operation);
        return new AdamWRow
        {
            Value = parameter.Value.Address,
            Gradient = parameter.Gradient.Address,
            First = parameter.FirstMoment.Address,
            Second = parameter.SecondMoment.Address,
            Count = count,
            RateMultiplier = parameter.RateMultiplier,
            Decay = parameter.Decay,
            Active = parameter.Active ? 1 : 0,
            IsWide = IsAllFours(parameter.Value) & IsAllFours(parameter.Gradient) & IsAllFours(parameter.FirstMoment) & IsAllFours(parameter.SecondMoment),
        };
    }

    /// <summary>1 where a tensor without gaps is nothing but runs of four floats that can be read at once.</summary>
    private static int IsAllFours(Tensor tensor) => tensor.Count % 4 == 0 ? InFours(tensor) : 0;
}
