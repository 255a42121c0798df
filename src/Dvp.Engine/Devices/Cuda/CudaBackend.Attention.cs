using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

public sealed partial class CudaBackend
{
    /// <summary>Queries and keys up to which a head is worked on as a whole (kernels/attention_short.cu).</summary>
    private const int AttentionShortTokens = 64;

    /// <summary>Shared memory that a block of every supported architecture can have, in bytes.</summary>
    private const int BlockSharedBytes = 99 << 10;

    /// <summary>Rows that a warp of the attention kernels takes at a time: kRows there.</summary>
    private const int AttentionWarpRows = 4;

    private const int AttentionBiasThreads = 128;

    /// <summary>Scratch for gradients of scores, from which the bias's gradient is summed; beyond it the sequences go in parts.</summary>
    private const long AttentionScoreGradientBytes = 64L << 20;

    /// <summary>Sizes and options of one attention, checked.</summary>
    private readonly record struct AttentionSizes(
        int Batch, int Queries, int Keys, int Heads, int KeyHeads, int HeadSize, int Causal, int BiasWide, int KeepWide, int Site, float Rate)
    {
        /// <summary>Elements from one row of a head in shared memory to the next.</summary>
        public int Pitch => HeadSize | 1;

        public int ForwardWarps => Math.Clamp(DivideUp(Queries, AttentionWarpRows), 1, 8);

        public int BackwardWarps => Math.Clamp(DivideUp(Math.Max(Queries, Keys), AttentionWarpRows), 1, 8);

        public int ShortForwardBytes => sizeof(float) * ((ForwardWarps * AttentionWarpRows * (HeadSize + Keys)) + (2 * Keys * Pitch));

        public int ShortBackwardBytes => sizeof(float) * ((2 * (Queries + Keys) * Pitch) + (2 * Queries * (Keys | 1)));

        public bool Short => Queries <= AttentionShortTokens && Keys <= AttentionShortTokens;

        public bool ForwardIsShort => Short && ShortForwardBytes <= BlockSharedBytes;

        /// <summary>What <c>-D head_size</c> the tiled kernels are compiled with: the least that holds the head.</summary>
        public string TiledOptions => HeadSize <= 64 ? "head_size=64" : HeadSize <= 128 ? "head_size=128" : "head_size=256";

        public bool BackwardIsShort => Short && Heads == KeyHeads && ShortBackwardBytes <= BlockSharedBytes;
    }

    /// <summary>Two floats a query, maximum and 1 / sum of its scores, whichever kernel runs.</summary>
    public override int AttentionSavedElements(int batch, int heads, int queries, int keys) => checked(2 * batch * heads * queries);

    /// <summary>context = softmax(scale q k^T + bias, masked) v, per head; see kernels/attention_short.cu, attention_tiled.cu and attention_mma.cu.</summary>
    public override void AttentionForward(Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        AttentionSizes a = CheckAttention(nameof(AttentionForward), context, saved, q, k, v, options);
        if (AttentionFitsMma(a))
        {
            AttentionForwardMma(context, saved, q, k, v, options, a);
            return;
        }

        if (!a.ForwardIsShort || _real != ElementType.F32)
        {
            AttentionForwardTiled(context, saved, q, k, v, options, a);
            return;
        }

        Kernel("attention_forward_short", "attention_short", ElementType.F32).Launch(
            a.Batch * a.Heads, (32, a.ForwardWarps), a.ShortForwardBytes,
            context, saved, q, k, v, options.Bias, options.KeyMask, options.KeyLengths, StreamOf(options.Dropout), options.Dropout?.KeepMask,
            a.Queries, a.Keys, a.Heads, a.KeyHeads, a.HeadSize, context.RowStride, q.RowStride, k.RowStride, v.RowStride,
            a.Causal, a.BiasWide, a.KeepWide, a.Site, options.Scale, a.Rate);
    }

    /// <summary>Gradients of <see cref="AttentionForward"/>; see kernels/attention_short.cu, attention_tiled.cu and attention_backward_mma.cu.</summary>
    public override void AttentionBackward(
        Tensor? dq, Tensor? dk, Tensor? dv, Tensor? dbias, Tensor dcontext, Tensor context, Tensor saved,
        Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        const string Operation = nameof(AttentionBackward);
        AttentionSizes a = CheckAttention(Operation, dcontext, saved, q, k, v, options);
        CheckAttention(Operation, context, saved, dq ?? q, dk ?? k, dv ?? v, options);
        int dbiasWide = WideElements(dbias, Operation);
        if (dbias is not null)
        {
            CudaShapes.Require(dbias.Columns == a.Keys && dbias.Rows == a.Heads * a.Queries, Operation, dbias, q);
        }

        // The gradient of the bias is a sum over sequences: gradients of scores are kept for as many as the scratch holds, then added.
        int scores = dbias is null ? 0 : checked(a.Heads * a.Queries * a.Keys);
        int part = dbias is null ? a.Batch : (int)Math.Clamp(AttentionScoreGradientBytes / (sizeof(float) * Math.Max(1L, scores)), 1, Math.Max(1, a.Batch));
        long scoreBytes = dbias is null ? 0 : (long)part * scores * sizeof(float);
        bool mma = AttentionFitsMma(a) && a.Short && a.Heads == a.KeyHeads, whole = mma || (a.BackwardIsShort && _real == ElementType.F32);
        long deltaBytes = whole ? 0 : saved.Count / 2 * sizeof(float);
        Workspace space = new(this, Workspace.Rounded(scoreBytes) + deltaBytes);
        (KernelArgument dscores, KernelArgument delta) = (space.Take(scoreBytes), space.Take(deltaBytes));
        if (!whole)
        {
            AttentionDelta(delta, dcontext, context, a);
            AttentionBackwardTiledKeys(dk, dv, dcontext, saved, delta, q, k, v, options, a);
        }

        for (int first = 0; first < a.Batch && (whole || dq is not null || dbias is not null); first += part)
        {
            int count = Math.Min(part, a.Batch - first);
            if (mma)
            {
                AttentionBackwardMma(dq, dk, dv, dscores, dcontext, saved, q, k, v, options, a, first, count);
            }
            else if (whole)
            {
                AttentionBackwardShort(dq, dk, dv, dscores, dcontext, saved, q, k, v, options, a, first, count);
            }
            else
            {
                AttentionBackwardTiledQueries(dq, dscores, dcontext, saved, delta, q, k, v, options, a, first, count);
            }

            if (dbias is not null)
            {
                Kernel("attention_backward_bias", "attention_bias", _real).Launch(
                    DivideUp(scores, AttentionBiasThreads), AttentionBiasThreads, 0, dbias, dscores, count, scores, dbiasWide);
            }
        }
    }

    private void AttentionBackwardShort(
        Tensor? dq, Tensor? dk, Tensor? dv, KernelArgument dscores, Tensor dcontext, Tensor saved, Tensor q, Tensor k, Tensor v,
        AttentionOptions options, AttentionSizes a, int first, int count) =>
        Kernel("attention_backward_short", "attention_short", ElementType.F32).Launch(
            count * a.Heads, (32, a.BackwardWarps), a.ShortBackwardBytes,
            dq, dk, dv, dscores, dcontext, saved, q, k, v, options.Bias, options.KeyMask, options.KeyLengths, StreamOf(options.Dropout),
            options.Dropout?.KeepMask, first, a.Queries, a.Keys, a.Heads, a.HeadSize, dq?.RowStride ?? 0, dk?.RowStride ?? 0, dv?.RowStride ?? 0,
            dcontext.RowStride, q.RowStride, k.RowStride, v.RowStride,
            a.Causal, a.BiasWide, a.KeepWide, a.Site, options.Scale, a.Rate);

    private AttentionSizes CheckAttention(string operation, Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        (int heads, int keyHeads) = (options.Heads, options.KeyHeads);
        CudaShapes.Require(q.Shape.Length == 3 && k.Shape.Length == 3 && v.Shape.Length == 3 && heads > 0 && q.Columns % heads == 0, operation, q, k);
        CudaShapes.Require(keyHeads > 0 && heads % keyHeads == 0 && k.Columns == q.Columns / heads * keyHeads && k.Extent(0) == q.Extent(0), operation, q, k);
        CudaShapes.Require(k.Extent(0) == v.Extent(0) && k.Extent(1) == v.Extent(1), operation, k, v);
        CudaShapes.RequireEqual(k, v, operation);
        CudaShapes.RequireEqual(q, context, operation);
        (int batch, int queries, int keys, int size) = (q.Extent(0), q.Extent(1), k.Extent(1), q.Columns / heads);
        CudaShapes.Require(size <= 256, operation, q);
        long rows = (long)batch * heads * queries;
        if (saved is not null)
        {
            CudaShapes.RequireFlat(saved, ElementType.F32, 2 * rows, operation);
        }

        if (options.Bias is { } bias)
        {
            CudaShapes.Require(bias.Columns == keys && bias.Rows == heads * queries, operation, bias, q);
        }

        if (options.KeyMask is { } mask)
        {
            CudaShapes.RequireFlat(mask, ElementType.I32, (long)batch * keys, operation);
        }

        if (options.KeyLengths is { } lengths)
        {
            CudaShapes.RequireFlat(lengths, ElementType.I32, batch, operation);
        }

        return new AttentionSizes(
            batch, queries, keys, heads, keyHeads, size, options.Causal ? 1 : 0, WideElements(options.Bias, operation),
            CheckDropout(options.Dropout, rows * keys, operation), options.Dropout?.Site ?? 0, options.Dropout?.Rate ?? 0);
    }

    /// <summary>The argument `wide` of kernels that take a tensor without gaps in the storage type (0) or in f32 (1).</summary>
    private int WideElements(Tensor? tensor, string operation)
    {
        CudaShapes.Require(tensor is null or { IsContiguous: true }, operation, tensor!);
        return CudaShapes.IsFloat(tensor, _real, operation);
    }

    /// <summary>Dropout over so many elements; 1 where it gives explicit factors in f32.</summary>
    private int CheckDropout(Dropout? dropout, long count, string operation)
    {
        if (dropout is not null && dropout.KeepMask is null)
        {
            RequireState(dropout, operation);
        }

        CudaShapes.Require(dropout?.KeepMask is null || dropout.KeepMask.Count == count, operation, dropout?.KeepMask!);
        return WideElements(dropout?.KeepMask, operation);
    }

    /// <summary>The state from which a kernel draws dropout; null without dropout and where explicit factors replace the stream.</summary>
    private static Tensor? StreamOf(Dropout? dropout) => dropout?.KeepMask is null ? dropout?.State : null;
}
