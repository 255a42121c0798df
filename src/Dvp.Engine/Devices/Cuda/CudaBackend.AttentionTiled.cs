using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Launches of kernels/attention_tiled.cu. Checks and the choice of the file stand in CudaBackend.Attention.cs.
public sealed partial class CudaBackend
{
    /// <summary>Warps of a block, rows of a tile in shared memory, and the bytes of both.</summary>
    private readonly record struct AttentionTile(int Warps, int Rows, int Bytes)
    {
        /// <summary>Rows that a block owns: four a warp.</summary>
        public int Owned => Warps * AttentionWarpRows;

        public static AttentionTile Forward(int size) => Choose(size, owned: 1, weights: 1);

        public static AttentionTile BackwardQueries(int size) => Choose(size, owned: 2, weights: 1);

        public static AttentionTile BackwardKeys(int size) => Choose(size, owned: 2, weights: 2);

        /// <summary>The most warps, then the longest tile, that shared memory holds.</summary>
        /// <param name="size">D</param>
        /// <param name="owned">Operands of which a warp keeps its four rows: 1 or 2.</param>
        /// <param name="weights">Factors of a tile's rows that a warp keeps: 1 or 2.</param>
        private static AttentionTile Choose(int size, int owned, int weights)
        {
            for (int warps = 8; ; warps /= 2)
            {
                for (int rows = 64; rows >= 32; rows /= 2)
                {
                    int bytes = sizeof(float) * ((warps * AttentionWarpRows * ((owned * size) + (weights * rows))) + (2 * rows * (size | 1)));
                    if (bytes <= BlockSharedBytes || (warps == 1 && rows == 32))
                    {
                        return new AttentionTile(warps, rows, bytes);
                    }
                }
            }
        }
    }

    private void AttentionForwardTiled(Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options, in AttentionSizes a)
    {
        AttentionTile tile = AttentionTile.Forward(a.HeadSize);
        Kernel("attention_forward_tiled", "attention_tiled", _real, a.TiledOptions).Launch(
            (a.Batch * a.Heads, DivideUp(a.Queries, tile.Owned)), (32, tile.Warps), tile.Bytes,
            context, saved, q, k, v, options.Bias, options.KeyMask, options.KeyLengths, StreamOf(options.Dropout), options.Dropout?.KeepMask,
            a.Queries, a.Keys, a.Heads, a.KeyHeads, a.HeadSize, context.RowStride, q.RowStride, k.RowStride, v.RowStride, tile.Rows,
            a.Causal, a.BiasWide, a.KeepWide, a.Site, options.Scale, a.Rate);
    }

    private void AttentionDelta(KernelArgument delta, Tensor dcontext, Tensor context, in AttentionSizes a)
    {
        int rows = a.Batch * a.Queries * a.Heads;
        Kernel("attention_backward_tiled_delta", "attention_tiled", _real, a.TiledOptions).Launch(
            DivideUp(rows, 8), (32, 8), 0,
            delta, dcontext, context, rows, a.Queries, a.Heads, a.HeadSize, dcontext.RowStride, context.RowStride);
    }

    private void AttentionBackwardTiledQueries(
        Tensor? dq, KernelArgument dscores, Tensor dcontext, Tensor saved, KernelArgument delta, Tensor q, Tensor k, Tensor v,
        AttentionOptions options, in AttentionSizes a, int first, int count)
    {
        AttentionTile tile = AttentionTile.BackwardQueries(a.HeadSize);
        Kernel("attention_backward_tiled_queries", "attention_tiled", _real, a.TiledOptions).Launch(
            (count * a.Heads, DivideUp(a.Queries, tile.Owned)), (32, tile.Warps), tile.Bytes,
            dq, dscores, dcontext, saved, delta, q, k, v, options.Bias, options.KeyMask, options.KeyLengths,
            StreamOf(options.Dropout), options.Dropout?.KeepMask,
            first, a.Queries, a.Keys, a.Heads, a.KeyHeads, a.HeadSize,
            dq?.RowStride ?? 0, dcontext.RowStride, q.RowStride, k.RowStride, v.RowStride, tile.Rows,
            a.Causal, a.BiasWide, a.KeepWide, a.Site, options.Scale, a.Rate);
    }

    private void AttentionBackwardTiledKeys(
        Tensor? dk, Tensor? dv, Tensor dcontext, Tensor saved, KernelArgument delta, Tensor q, Tensor k, Tensor v,
        AttentionOptions options, in AttentionSizes a)
    {
        if (dk is null && dv is null)
        {
            return;
        }

        AttentionTile tile = AttentionTile.BackwardKeys(a.HeadSize);
        Kernel("attention_backward_tiled_keys", "attention_tiled", _real, a.TiledOptions).Launch(
            (a.Batch * a.KeyHeads, DivideUp(a.Keys, tile.Owned)), (32, tile.Warps), tile.Bytes,
            dk, dv, dcontext, saved, delta, q, k, v, options.Bias, options.KeyMask, options.KeyLengths,
            StreamOf(options.Dropout), options.Dropout?.KeepMask,
            a.Queries, a.Keys, a.Heads, a.KeyHeads, a.HeadSize,
            dk?.RowStride ?? 0, dv?.RowStride ?? 0, dcontext.RowStride, q.RowStride, k.RowStride, v.RowStride, tile.Rows,
            a.Causal, a.BiasWide, a.KeepWide, a.Site, options.Scale, a.Rate);
    }
}
