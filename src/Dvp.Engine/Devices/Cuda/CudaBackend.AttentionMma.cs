using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Launches of kernels/attention_mma.cu and attention_backward_mma.cu. Checks and the choice of the file stand in CudaBackend.Attention.cs.
public sealed partial class CudaBackend
{
    /// <summary>Queries of a warp: mma's M.</summary>
    private const int AttentionMmaRows = 16;

    /// <summary>How the tensor cores' kernels are compiled for an attention, and what their launches need.</summary>
    /// <param name="HeadSize">64 or 128, the least that holds D: channels in shared memory.</param>
    /// <param name="Tile">Queries of a block and keys of a buffer: 32 where queries and keys are no more, else 64.</param>
    private readonly record struct AttentionMmaPlan(int HeadSize, int Tile)
    {
        public static AttentionMmaPlan Of(int queries, int keys, int headSize) =>
            new(headSize <= 64 ? 64 : 128, queries <= 32 && keys <= 32 ? 32 : 64);

        public string Options => (HeadSize, Tile) switch
        {
            (64, 32) => "head_size=64 tile=32",
            (64, _) => "head_size=64 tile=64",
            (_, 32) => "head_size=128 tile=32",
            _ => "head_size=128 tile=64",
        };

        public int ForwardThreads => Tile / AttentionMmaRows * WarpSize;

        /// <summary>Queries, and one buffer of keys and values, or two where there are more keys than it holds.</summary>
        public int ForwardBytes(int keys) => (keys > Tile ? 5 : 3) * Tile * HeadSize * sizeof(ushort);

        public static int BackwardThreads(int queries, int keys) => DivideUp(Math.Max(queries, keys), AttentionMmaRows) * WarpSize;

        /// <summary>Queries, keys, their gradients' sources, and two matrices with a row for each query.</summary>
        public int BackwardBytes(int queries, int keys)
        {
            (int queryRows, int keyRows) = (DivideUp(queries, AttentionMmaRows) * AttentionMmaRows, DivideUp(keys, AttentionMmaRows) * AttentionMmaRows);
            return 2 * sizeof(ushort) * (((queryRows + keyRows) * HeadSize) + (queryRows * Tile));
        }
    }

    /// <summary>Whether the tensor cores take heads of this size.</summary>
    private bool AttentionFitsMma(in AttentionSizes a) => _real != ElementType.F32 && a.HeadSize <= 128;

    private void AttentionForwardMma(Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options, in AttentionSizes a)
    {
        AttentionMmaPlan plan = AttentionMmaPlan.Of(a.Queries, a.Keys, a.HeadSize);
        int heads = HeadsInEights(a);
        Kernel("attention_forward_mma", "attention_mma", _real, plan.Options).Launch(
            (a.Batch * a.Heads, DivideUp(a.Queries, plan.Tile)), plan.ForwardThreads, plan.ForwardBytes(a.Keys),
            context, saved, q, k, v, options.Bias, options.KeyMask, options.KeyLengths, StreamOf(options.Dropout), options.Dropout?.KeepMask,
            a.Queries, a.Keys, a.Heads, a.KeyHeads, a.HeadSize, context.RowStride, q.RowStride, k.RowStride, v.RowStride,
            heads & InEights(q), heads & InEights(k), heads & InEights(v), heads & InEights(context),
            a.Causal, a.BiasWide, a.KeepWide, a.Site, options.Scale, a.Rate);
    }

    private void AttentionBackwardMma(
        Tensor? dq, Tensor? dk, Tensor? dv, KernelArgument dscores, Tensor dcontext, Tensor saved, Tensor q, Tensor k, Tensor v,
        AttentionOptions options, in AttentionSizes a, int first, int count)
    {
        AttentionMmaPlan plan = AttentionMmaPlan.Of(a.Queries, a.Keys, a.HeadSize);
        int heads = HeadsInEights(a);
        int Aligned(Tensor? tensor) => tensor is null ? 0 : heads & InEights(tensor);
        Kernel("attention_backward_mma", "attention_backward_mma", _real, plan.Options).Launch(
            count * a.Heads, AttentionMmaPlan.BackwardThreads(a.Queries, a.Keys), plan.BackwardBytes(a.Queries, a.Keys),
            dq, dk, dv, dscores, dcontext, saved, q, k, v, options.Bias, options.KeyMask, options.KeyLengths, StreamOf(options.Dropout),
            options.Dropout?.KeepMask, first, a.Queries, a.Keys, a.Heads, a.HeadSize, dq?.RowStride ?? 0, dk?.RowStride ?? 0, dv?.RowStride ?? 0,
            dcontext.RowStride, q.RowStride, k.RowStride, v.RowStride,
            Aligned(dq), Aligned(dk), Aligned(dv), Aligned(dcontext), Aligned(q), Aligned(k), Aligned(v),
            a.Causal, a.BiasWide, a.KeepWide, a.Site, options.Scale, a.Rate);
    }

    /// <summary>1 where every head begins at a multiple of 16 bytes if its row does.</summary>
    private static int HeadsInEights(in AttentionSizes a) => a.HeadSize % 8 == 0 ? 1 : 0;
}
