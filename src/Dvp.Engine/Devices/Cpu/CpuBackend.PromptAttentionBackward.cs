using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

// With w = f p the dropped probabilities and dz = W_V^T dcontext, dsum = b_V . dcontext:
//   delta = sum_n w_n (dz . x_n + dsum) = dz . z + dsum sum(w), known before the tokens are read;
//   ds_n = (w_n (dz . x_n + dsum) - p_n delta) / sqrt(D);  du = sum_n ds_n x_n, in the one pass over the tokens.
public sealed unsafe partial class CpuBackend
{
    private float* _promptGradients;
    private long _promptGradientCapacity;

    /// <inheritdoc/>
    public override void PromptAttentionBackward(
        Tensor? dq, Tensor? dx, Tensor dcontext, PromptAttentionState saved, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        const string Operation = nameof(PromptAttentionBackward);
        NoteLaunch();
        RequireEqual(q, dq, Operation);
        RequireEqual(x, dx, Operation);
        PromptContext c = Prompt(Operation, saved, dcontext, q, x, keyWeight, valueWeight, valueBias, heads, dropout);
        c.QueryGradient = Optional(dq, Operation);
        c.TokenGradient = Optional(dx, Operation);
        c.KeyGradient = Optional(keyWeight.Gradient, Operation);
        c.ValueGradient = Optional(valueWeight.Gradient, Operation);
        c.ValueBiasGradient = valueBias.Gradient is null ? null : Flat(valueBias.Gradient, q.Columns, Operation);
        long count = (long)c.Batch * c.RowsOfSequence * c.Channels;
        ReservePromptGradients(2 * count);
        c.CondensedGradient = _promptGradients;
        c.AbsorbedGradient = _promptGradients + count;
        c.Groups = dx is null ? c.Groups : 1;

        Run(heads * c.ChannelPieces, &PromptValueBackwardBody, &c);
        bool absorbed = dq is not null || keyWeight.Trains;
        if (absorbed || dx is not null)
        {
            Run(c.Batch * c.Groups, &PromptAttendBackwardBody, &c);
        }

        if (keyWeight.Trains)
        {
            Run(heads * c.ChannelPieces, &PromptKeyBackwardBody, &c);
        }

        if (dq is not null)
        {
            Run(heads * c.OutputPieces, &PromptQueryBackwardBody, &c);
        }
    }

    // dz_h = W_V,h^T dcontext_h; dW_V,h += dcontext_h^T z_h; db_V,h += sum of dcontext_h sum(w).
    private static void PromptValueBackwardBody(void* context, int piece)
    {
        ref PromptContext c = ref *(PromptContext*)context;
        (int head, int part) = Math.DivRem(piece, c.ChannelPieces);
        int first = part * PromptChannels;
        int count = Math.Min(PromptChannels, c.Channels - first);
        int size = c.HeadSize;
        int sequences = c.Batch * c.Queries;
        long rowStride = (long)c.Heads * c.Channels;
        long offset = ((long)head * c.Channels) + first;
        float* dcontext = c.Context.Row(0) + (head * size);
        float* scratch = CpuScratch.Floats((long)size * count);
        float* weight = c.Value.Block((long)head * size, size, first, count, scratch, out long stride);
        CpuProducts.Multiply(
            c.CondensedGradient + offset, rowStride, dcontext, c.Context.Stride, 1, weight, stride, sequences, count, size,
            alpha: 1, accumulate: false);
        if (c.ValueGradient.Exists)
        {
            CpuProducts.Multiply(
                c.ValueGradient.Row((long)head * size) + first, c.ValueGradient.Stride, dcontext, 1, c.Context.Stride,
                c.Condensed + offset, rowStride, size, count, sequences, alpha: 1, accumulate: true);
        }

        if (part == 0 && c.ValueBiasGradient is not null)
        {
            for (int row = 0; row < sequences; row++)
            {
                float sum = c.ProbabilitySum[((long)row * c.Heads) + head];
                CpuRows.AddScaled(c.ValueBiasGradient + (head * size), sum, c.Context.Row(row) + (head * size), size);
            }
        }
    }

    private static void PromptAttendBackwardBody(void* context, int piece)
    {
        ref PromptContext c = ref *(PromptContext*)context;
        (int batch, int group) = Math.DivRem(piece, c.Groups);
        (int first, int rows) = PromptRows(ref c, group);
        int channels = c.Channels;
        long sequenceRow = ((long)batch * c.RowsOfSequence) + first;
        float* u = c.Absorbed + (sequenceRow * channels);
        float* dz = c.CondensedGradient + (sequenceRow * channels);
        float* du = c.AbsorbedGradient + (sequenceRow * channels);
        float* dsums = CpuScratch.Floats((2L * rows) + (((2L * rows) + 1) * PromptTokens) + ((long)PromptTokens * channels));
        float* deltas = dsums + rows;
        float* ds = deltas + rows;
        float* w = ds + ((long)rows * PromptTokens);
        float* factors = w + ((long)rows * PromptTokens);
        float* wide = factors + PromptTokens;
        for (int row = 0; row < rows; row++)
        {
            (int query, int head) = Math.DivRem(first + row, c.Heads);
            float* dcontext = c.Context.Row(((long)batch * c.Queries) + query) + (head * c.HeadSize);
            float* z = c.Condensed + ((sequenceRow + row) * channels);
            dsums[row] = CpuRows.Dot(dcontext, c.ValueBias + (head * c.HeadSize), c.HeadSize);
            deltas[row] = CpuRows.Dot(dz + ((long)row * channels), z, channels) + (dsums[row] * c.ProbabilitySum[sequenceRow + row]);
        }

        for (int token = 0; token < c.Count; token += PromptTokens)
        {
            int count = Math.Min(PromptTokens, c.Count - token);
            float* x = c.Tokens.Block(((long)batch * c.Count) + token, count, 0, channels, wide, out long stride);
            CpuProducts.MultiplyTransposed(ds, PromptTokens, dz, channels, x, stride, rows, count, channels, alpha: 1, accumulate: false);
            for (int row = 0; row < rows; row++)
            {
                long place = (PromptPlace(ref c, batch, first + row) * c.Count) + token;
                float* p = c.Probabilities + place;
                float* dropped = p;
                if (c.Drops)
                {
                    dropped = w + ((long)row * PromptTokens);
                    CpuRows.Multiply(dropped, p, PromptFactors(factors, ref c, place, count), count);
                }
                else if (c.TokenGradient.Exists)
                {
                    new ReadOnlySpan<float>(p, count).CopyTo(new Span<float>(w + ((long)row * PromptTokens), count));
                }

                float* s = ds + ((long)row * PromptTokens);
                float dsum = dsums[row];
                float delta = deltas[row];
                for (int i = 0; i < count; i++)
                {
                    s[i] = c.Scale * ((dropped[i] * (s[i] + dsum)) - (p[i] * delta));
                }
            }

            CpuProducts.Multiply(du, channels, ds, PromptTokens, 1, x, stride, rows, channels, count, alpha: 1, accumulate: token > 0);
            if (c.TokenGradient.Exists)
            {
                float* dx = c.TokenGradient.Row(((long)batch * c.Count) + token);
                long dxStride = c.TokenGradient.Stride;
                CpuProducts.Multiply(dx, dxStride, w, 1, PromptTokens, dz, channels, count, channels, rows, alpha: 1, accumulate: false);
                CpuProducts.Multiply(dx, dxStride, ds, 1, PromptTokens, u, channels, count, channels, rows, alpha: 1, accumulate: true);
            }
        }
    }

    // dW_K,h += q_h^T du_h
    private static void PromptKeyBackwardBody(void* context, int piece)
    {
        ref PromptContext c = ref *(PromptContext*)context;
        (int head, int part) = Math.DivRem(piece, c.ChannelPieces);
        int first = part * PromptChannels;
        int count = Math.Min(PromptChannels, c.Channels - first);
        CpuProducts.Multiply(
            c.KeyGradient.Row((long)head * c.HeadSize) + first, c.KeyGradient.Stride,
            c.Query.Row(0) + (head * c.HeadSize), 1, c.Query.Stride,
            c.AbsorbedGradient + ((long)head * c.Channels) + first, (long)c.Heads * c.Channels, c.HeadSize, count, c.Batch * c.Queries,
            alpha: 1, accumulate: true);
    }

    // dq_h = W_K,h du_h
    private static void PromptQueryBackwardBody(void* context, int piece)
    {
        ref PromptContext c = ref *(PromptContext*)context;
        (int head, int part) = Math.DivRem(piece, c.OutputPieces);
        int first = (head * c.HeadSize) + (part * PromptOutputs);
        int count = Math.Min(PromptOutputs, c.HeadSize - (part * PromptOutputs));
        float* scratch = CpuScratch.Floats((long)count * c.Channels);
        float* weight = c.Key.Block(first, count, 0, c.Channels, scratch, out long stride);
        CpuProducts.MultiplyTransposed(
            c.QueryGradient.Row(0) + first, c.QueryGradient.Stride,
            c.AbsorbedGradient + ((long)head * c.Channels), (long)c.Heads * c.Channels,
            weight, stride, c.Batch * c.Queries, count, c.Channels, alpha: 1, accumulate: false);
    }

    private void ReservePromptGradients(long count)
    {
        if (count > _promptGradientCapacity)
        {
            DisposePromptGradients();
            _promptGradients = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);
            _promptGradientCapacity = count;
        }
    }

    private void DisposePromptGradients()
    {
        NativeMemory.AlignedFree(_promptGradients);
        _promptGradients = null;
        _promptGradientCapacity = 0;
    }
}
