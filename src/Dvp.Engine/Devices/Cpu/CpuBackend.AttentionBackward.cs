using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void AttentionBackward(
        Tensor? dq, Tensor? dk, Tensor? dv, Tensor? dbias, Tensor dcontext, Tensor context, Tensor saved,
        Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        const string Operation = nameof(AttentionBackward);
        NoteLaunch();
        RequireEqual(q, dq, Operation);
        RequireEqual(k, dk, Operation);
        RequireEqual(v, dv, Operation);
        AttentionContext c = Attention(Operation, dcontext, saved, q, k, v, options);
        c.QueryGradient = Optional(dq, Operation);
        c.KeyGradient = Optional(dk, Operation);
        c.ValueGradient = Optional(dv, Operation);
        if (dbias is not null)
        {
            Require(dbias.Columns == c.Keys && dbias.Rows == c.Heads * c.Queries, Operation, dbias, q);
            c.BiasGradient = new View(dbias, Operation);
        }

        // The bias is shared by the sequences: where its gradient is wanted a piece adds up all of them, in order.
        Run(dbias is null ? c.Batch * c.KeyHeads : c.KeyHeads, &AttentionBackwardBody, &c);
    }

    private static void AttentionBackwardBody(void* context, int piece)
    {
        ref AttentionContext c = ref *(AttentionContext*)context;
        if (c.BiasGradient.Exists)
        {
            for (int batch = 0; batch < c.Batch; batch++)
            {
                AttentionHeadBackward(ref c, batch, piece);
            }
        }
        else
        {
            AttentionHeadBackward(ref c, piece / c.KeyHeads, piece % c.KeyHeads);
        }
    }

    // With p the probabilities, f the dropout factors: dP = f (dO V^T), dS = p (dP - sum(p dP)),
    // dQ = scale dS K, dK = scale dS^T Q, dV = (f p)^T dO.
    private static void AttentionHeadBackward(ref AttentionContext c, int batch, int keyHead)
    {
        int size = c.HeadSize;
        int padded = c.PaddedKeys;
        int group = c.Heads / c.KeyHeads;
        float* mask = CpuScratch.Floats(((long)((2 * size) + (2 * AttentionRows) + 2) * padded) + (AttentionRows * c.Keys));
        float* biasRow = mask + padded;
        float* keys = biasRow + padded;
        float* values = keys + ((long)size * padded);
        float* p = values + ((long)size * padded);
        float* ds = p + (AttentionRows * padded);
        float* factors = ds + (AttentionRows * padded);
        float* key = c.Key.Row((long)batch * c.Keys) + (keyHead * size);
        float* value = c.Value.Row((long)batch * c.Keys) + (keyHead * size);
        bool few = c.Queries < AttentionFewQueries;
        if (!few)
        {
            CpuTranspose.Run(values, padded, value, c.Value.Stride, c.Keys, size);
        }

        if (!c.KeepsProbabilities)
        {
            KeyMaskRow(mask, ref c, batch);
            if (!few)
            {
                CpuTranspose.Run(keys, padded, key, c.Key.Stride, c.Keys, size);
            }
        }

        bool accumulate = false;
        for (int head = keyHead * group; head < (keyHead + 1) * group; head++)
        {
            for (int row = 0; row < c.Queries; row += AttentionRows, accumulate = true)
            {
                int rows = Math.Min(AttentionRows, c.Queries - row);
                long queryRow = ((long)batch * c.Queries) + row;
                long place = ((((long)batch * c.Heads) + head) * c.Queries) + row;
                float* query = c.Query.Row(queryRow) + (head * size);
                float* dout = c.Output.Row(queryRow) + (head * size);
                if (c.KeepsProbabilities)
                {
                    CopyRows(p, padded, c.Saved + (place * c.Keys), c.Keys, rows, c.Keys);
                }
                else
                {
                    AttentionScores(p, ref c, query, key, few ? null : keys, rows);
                    for (int i = 0; i < rows; i++)
                    {
                        float* bias = AttentionBias(biasRow, ref c, head, row + i);
                        int visible = VisibleKeys(ref c, row + i);
                        ProbabilityRow(p + ((long)i * padded), padded, visible, c.Scale, bias, mask, c.Saved[place + i]);
                    }
                }

                if (few)
                {
                    CpuProducts.MultiplyTransposed(
                        ds, padded, dout, c.Output.Stride, value, c.Value.Stride, rows, c.Keys, size, alpha: 1, accumulate: false);
                }
                else
                {
                    CpuProducts.Multiply(
                        ds, padded, dout, c.Output.Stride, 1, values, padded, rows, padded, size, alpha: 1, accumulate: false);
                }

                float* keep = c.Drops ? AttentionFactors(factors, ref c, place, rows) : null;
                for (int i = 0; i < rows; i++)
                {
                    float* keepRow = keep is null ? null : keep + ((long)i * c.Keys);
                    ScoreGradientRow(ds + ((long)i * padded), p + ((long)i * padded), keepRow, c.Keys);
                    if (c.BiasGradient.Exists)
                    {
                        CpuRows.Add(c.BiasGradient.Row(((long)head * c.Queries) + row + i), ds + ((long)i * padded), c.Keys);
                    }
                }

                AttentionGradients(ref c, batch, keyHead, head, row, rows, p, ds, accumulate);
            }
        }
    }

    private static void AttentionGradients(
        ref AttentionContext c, int batch, int keyHead, int head, int row, int rows, float* p, float* ds, bool accumulate)
    {
        int size = c.HeadSize;
        int padded = c.PaddedKeys;
        long queryRow = ((long)batch * c.Queries) + row;
        long keyRow = (long)batch * c.Keys;
        if (c.ValueGradient.Exists)
        {
            float* dout = c.Output.Row(queryRow) + (head * size);
            float* dv = c.ValueGradient.Row(keyRow) + (keyHead * size);
            CpuProducts.Multiply(dv, c.ValueGradient.Stride, p, 1, padded, dout, c.Output.Stride, c.Keys, size, rows, alpha: 1, accumulate);
        }

        if (c.QueryGradient.Exists)
        {
            float* key = c.Key.Row(keyRow) + (keyHead * size);
            float* dq = c.QueryGradient.Row(queryRow) + (head * size);
            CpuProducts.Multiply(
                dq, c.QueryGradient.Stride, ds, padded, 1, key, c.Key.Stride, rows, size, c.Keys, c.Scale, accumulate: false);
        }

        if (c.KeyGradient.Exists)
        {
            float* query = c.Query.Row(queryRow) + (head * size);
            float* dk = c.KeyGradient.Row(keyRow) + (keyHead * size);
            CpuProducts.Multiply(
                dk, c.KeyGradient.Stride, ds, 1, padded, query, c.Query.Stride, c.Keys, size, rows, c.Scale, accumulate);
        }
    }

    /// <summary>Raw scores to probabilities by the row's statistic of the forward pass.</summary>
    private static void ProbabilityRow(float* s, int padded, int visible, float scale, float* bias, float* mask, float statistic)
    {
        Vector256<float> factor = Vector256.Create(scale);
        Vector256<float> m = Vector256.Create(statistic);
        for (int i = 0; i < padded; i += 8)
        {
            VectorMath.Exp(MaskedScores(s, i, visible, factor, bias, mask) - m).Store(s + i);
        }
    }

    /// <summary>ds = p (f ds - sum(p f ds)) and p = f p, in place; no factors mean 1.</summary>
    private static void ScoreGradientRow(float* ds, float* p, float* factors, int count)
    {
        if (factors is not null)
        {
            CpuRows.Multiply(ds, ds, factors, count);
        }

        float delta = CpuRows.Dot(p, ds, count);
        Vector256<float> d = Vector256.Create(delta);
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            (Vector256.Load(p + i) * (Vector256.Load(ds + i) - d)).Store(ds + i);
        }

        for (; i < count; i++)
        {
            ds[i] = p[i] * (ds[i] - delta);
        }

        if (factors is not null)
        {
            CpuRows.Multiply(p, p, factors, count);
        }
    }
}
