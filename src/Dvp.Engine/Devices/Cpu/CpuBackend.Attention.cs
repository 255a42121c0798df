using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

// Attention of a head at a time, everything of the head in the first caches: keys transposed, so that scores of eight keys are one
// vector. Up to AttentionKeptKeys keys the probabilities are kept for the backward pass, beyond that one number a row:
// maximum + log(sum), from which a block of rows is made again.
public sealed unsafe partial class CpuBackend
{
    /// <summary>Keys up to which the probabilities are kept.</summary>
    private const int AttentionKeptKeys = 64;

    /// <summary>Queries whose scores are held at a time.</summary>
    private const int AttentionRows = 32;

    /// <summary>Queries of a piece of the forward pass; every piece transposes the keys for itself.</summary>
    private const int AttentionPieceQueries = 64;

    /// <summary>Queries below which scores are dot products with the keys as they lie.</summary>
    private const int AttentionFewQueries = 4;

    private struct AttentionContext
    {
        internal View Query;
        internal View Key;
        internal View Value;
        internal View Output;
        internal View QueryGradient;
        internal View KeyGradient;
        internal View ValueGradient;
        internal View BiasGradient;
        internal View Bias;
        internal View KeepMask;
        internal PhiloxStream Stream;
        internal float* Saved;
        internal int* KeyMask;
        internal int* KeyLengths;
        internal int Batch;
        internal int Heads;
        internal int KeyHeads;
        internal int HeadSize;
        internal int Queries;
        internal int Keys;
        internal int PaddedKeys;
        internal int QueryPieces;
        internal float Scale;
        internal bool Causal;
        internal bool Drops;

        /// <summary>Whether <see cref="Saved"/> holds probabilities rather than row statistics.</summary>
        internal readonly bool KeepsProbabilities => Keys <= AttentionKeptKeys;
    }

    /// <inheritdoc/>
    public override int AttentionSavedElements(int batch, int heads, int queries, int keys) =>
        checked(batch * heads * queries * (keys <= AttentionKeptKeys ? keys : 1));

    /// <inheritdoc/>
    public override void AttentionForward(Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        const string Operation = nameof(AttentionForward);
        NoteLaunch();
        AttentionContext c = Attention(Operation, context, saved, q, k, v, options);
        c.QueryPieces = Pieces(c.Queries, AttentionPieceQueries);
        Run(c.Batch * c.KeyHeads * c.QueryPieces, &AttentionForwardBody, &c);
    }

    private AttentionContext Attention(
        string operation, Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        (int heads, int keyHeads) = (options.Heads, options.KeyHeads);
        Require(q.Shape.Length == 3 && k.Shape.Length == 3 && v.Shape.Length == 3 && heads > 0 && q.Columns % heads == 0, operation, q, k);
        Require(keyHeads > 0 && heads % keyHeads == 0 && k.Columns == q.Columns / heads * keyHeads, operation, q, k);
        Require(k.Extent(0) == q.Extent(0), operation, q, k);
        RequireEqual(k, v, operation);
        RequireEqual(q, context, operation);
        AttentionContext c = new()
        {
            Query = new View(q, operation),
            Key = new View(k, operation),
            Value = new View(v, operation),
            Output = new View(context, operation),
            Batch = q.Extent(0),
            Heads = heads,
            KeyHeads = keyHeads,
            HeadSize = q.Columns / heads,
            Queries = q.Extent(1),
            Keys = k.Extent(1),
            PaddedKeys = (k.Extent(1) + 7) & ~7,
            Scale = options.Scale,
            Causal = options.Causal,
            Drops = options.Dropout is not null,
        };
        if (saved is not null)
        {
            c.Saved = Flat(saved, AttentionSavedElements(c.Batch, heads, c.Queries, c.Keys), operation);
        }

        if (options.Bias is { } bias)
        {
            Require(bias.Columns == c.Keys && bias.Rows == heads * c.Queries, operation, bias, q);
            c.Bias = new View(bias, operation);
        }

        c.KeyMask = options.KeyMask is null ? null : Integers(options.KeyMask, (long)c.Batch * c.Keys, operation);
        c.KeyLengths = options.KeyLengths is null ? null : Integers(options.KeyLengths, c.Batch, operation);
        if (options.Dropout is { } dropout)
        {
            SetDropout(ref c.KeepMask, ref c.Stream, dropout, (long)c.Batch * heads * c.Queries * c.Keys, c.Keys, operation);
        }

        return c;
    }

    private static void AttentionForwardBody(void* context, int piece)
    {
        ref AttentionContext c = ref *(AttentionContext*)context;
        (int sequence, int part) = Math.DivRem(piece, c.QueryPieces);
        (int batch, int keyHead) = Math.DivRem(sequence, c.KeyHeads);
        int size = c.HeadSize;
        int padded = c.PaddedKeys;
        int group = c.Heads / c.KeyHeads;
        int first = part * AttentionPieceQueries;
        int end = Math.Min(first + AttentionPieceQueries, c.Queries);

        float* mask = CpuScratch.Floats(((long)(size + AttentionRows + 2) * padded) + (AttentionRows * c.Keys));
        float* biasRow = mask + padded;
        float* keys = biasRow + padded;
        float* scores = keys + ((long)size * padded);
        float* factors = scores + (AttentionRows * padded);
        KeyMaskRow(mask, ref c, batch);
        float* key = c.Key.Row((long)batch * c.Keys) + (keyHead * size);
        float* value = c.Value.Row((long)batch * c.Keys) + (keyHead * size);
        bool few = end - first < AttentionFewQueries;
        if (!few)
        {
            CpuTranspose.Run(keys, padded, key, c.Key.Stride, c.Keys, size);
        }

        for (int head = keyHead * group; head < (keyHead + 1) * group; head++)
        {
            for (int row = first; row < end; row += AttentionRows)
            {
                int rows = Math.Min(AttentionRows, end - row);
                float* query = c.Query.Row(((long)batch * c.Queries) + row) + (head * size);
                AttentionScores(scores, ref c, query, key, few ? null : keys, rows);
                long place = ((((long)batch * c.Heads) + head) * c.Queries) + row;
                for (int i = 0; i < rows; i++)
                {
                    float* bias = AttentionBias(biasRow, ref c, head, row + i);
                    float* statistic = c.Saved is null || c.KeepsProbabilities ? null : c.Saved + place + i;
                    SoftmaxRow(scores + ((long)i * padded), padded, VisibleKeys(ref c, row + i), c.Scale, bias, mask, statistic);
                }

                if (c.Saved is not null && c.KeepsProbabilities)
                {
                    CopyRows(c.Saved + (place * c.Keys), c.Keys, scores, padded, rows, c.Keys);
                }

                if (c.Drops)
                {
                    float* keep = AttentionFactors(factors, ref c, place, rows);
                    for (int i = 0; i < rows; i++)
                    {
                        CpuRows.Multiply(scores + ((long)i * padded), scores + ((long)i * padded), keep + ((long)i * c.Keys), c.Keys);
                    }
                }

                float* output = c.Output.Row(((long)batch * c.Queries) + row) + (head * size);
                CpuProducts.Multiply(
                    output, c.Output.Stride, scores, padded, 1, value, c.Value.Stride, rows, size, c.Keys, alpha: 1, accumulate: false);
            }
        }
    }

    /// <summary>Raw scores of some queries against all keys, whose transposed form may be null for few queries.</summary>
    private static void AttentionScores(float* scores, ref AttentionContext c, float* query, float* key, float* keys, int rows)
    {
        if (keys is null)
        {
            if (c.Keys < c.PaddedKeys)
            {
                new Span<float>(scores, rows * c.PaddedKeys).Clear();
            }

            CpuProducts.MultiplyTransposed(
                scores, c.PaddedKeys, query, c.Query.Stride, key, c.Key.Stride, rows, c.Keys, c.HeadSize, alpha: 1, accumulate: false);
        }
        else
        {
            CpuProducts.Multiply(
                scores, c.PaddedKeys, query, c.Query.Stride, 1, keys, c.PaddedKeys, rows, c.PaddedKeys, c.HeadSize,
                alpha: 1, accumulate: false);
        }
    }

    /// <summary>0 for visible keys of a sequence, minus infinity for hidden ones and the places past the last key.</summary>
    private static void KeyMaskRow(float* mask, ref AttentionContext c, int batch)
    {
        int visible = c.KeyLengths is null ? c.Keys : Math.Clamp(c.KeyLengths[batch], 0, c.Keys);
        new Span<float>(mask, visible).Clear();
        new Span<float>(mask + visible, c.PaddedKeys - visible).Fill(float.NegativeInfinity);
        if (c.KeyMask is not null)
        {
            int* flags = c.KeyMask + ((long)batch * c.Keys);
            for (int key = 0; key < visible; key++)
            {
                mask[key] = flags[key] != 0 ? mask[key] : float.NegativeInfinity;
            }
        }
    }

    /// <summary>Keys that a query may see by causality.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int VisibleKeys(ref AttentionContext c, int query) =>
        c.Causal ? Math.Clamp(query + 1 + c.Keys - c.Queries, 0, c.Keys) : c.Keys;

    /// <summary>A row of the bias, padded to whole vectors; null without a bias.</summary>
    private static float* AttentionBias(float* row, ref AttentionContext c, int head, int query)
    {
        if (!c.Bias.Exists)
        {
            return null;
        }

        new ReadOnlySpan<float>(c.Bias.Row(((long)head * c.Queries) + query), c.Keys).CopyTo(new Span<float>(row, c.Keys));
        new Span<float>(row + c.Keys, c.PaddedKeys - c.Keys).Clear();
        return row;
    }

    /// <summary>Dropout factors of some rows of probabilities, <c>Keys</c> a row.</summary>
    private static float* AttentionFactors(float* factors, ref AttentionContext c, long firstRow, int rows)
    {
        if (c.KeepMask.Exists)
        {
            return c.KeepMask.Row(firstRow);
        }

        c.Stream.Factors(factors, firstRow * c.Keys, rows * c.Keys);
        return factors;
    }

    /// <summary>
    /// Turns raw scores into probabilities in place; zeros where nothing is visible. Writes maximum + log(sum), plus infinity for such a
    /// row, where <paramref name="statistic"/> is wanted.
    /// </summary>
    private static void SoftmaxRow(float* s, int padded, int visible, float scale, float* bias, float* mask, float* statistic)
    {
        Vector256<float> factor = Vector256.Create(scale);
        Vector256<float> highest = Vector256.Create(float.NegativeInfinity);
        for (int i = 0; i < padded; i += 8)
        {
            Vector256<float> v = MaskedScores(s, i, visible, factor, bias, mask);
            v.Store(s + i);
            highest = Vector256.MaxNative(highest, v);
        }

        float max = MaxOf(highest);
        if (float.IsNegativeInfinity(max))
        {
            new Span<float>(s, padded).Clear();
            if (statistic is not null)
            {
                *statistic = float.PositiveInfinity;
            }

            return;
        }

        Vector256<float> m = Vector256.Create(max);
        Vector256<float> sums = Vector256<float>.Zero;
        for (int i = 0; i < padded; i += 8)
        {
            Vector256<float> e = VectorMath.Exp(Vector256.Load(s + i) - m);
            e.Store(s + i);
            sums += e;
        }

        float sum = Vector256.Sum(sums);
        Vector256<float> inverse = Vector256.Create(1 / sum);
        for (int i = 0; i < padded; i += 8)
        {
            (Vector256.Load(s + i) * inverse).Store(s + i);
        }

        if (statistic is not null)
        {
            *statistic = max + MathF.Log(sum);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> MaskedScores(float* s, int i, int visible, Vector256<float> scale, float* bias, float* mask)
    {
        Vector256<float> v = Vector256.MultiplyAddEstimate(Vector256.Load(s + i), scale, Vector256.Load(mask + i));
        if (bias is not null)
        {
            v += Vector256.Load(bias + i);
        }

        if (i + 8 > visible)
        {
            Vector256<int> lanes = Vector256.Create(0, 1, 2, 3, 4, 5, 6, 7) + Vector256.Create(i);
            v = Vector256.ConditionalSelect(
                Vector256.LessThan(lanes, Vector256.Create(visible)).AsSingle(), v, Vector256.Create(float.NegativeInfinity));
        }

        return v;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float MaxOf(Vector256<float> v)
    {
        Vector128<float> four = Vector128.MaxNative(v.GetLower(), v.GetUpper());
        four = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        four = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(1, 0, 3, 2)));
        return four.ToScalar();
    }

    private static void CopyRows(float* y, long yStride, float* x, long xStride, int rows, int columns)
    {
        for (int row = 0; row < rows; row++)
        {
            new ReadOnlySpan<float>(x + (row * xStride), columns).CopyTo(new Span<float>(y + (row * yStride), columns));
        }
    }
}
