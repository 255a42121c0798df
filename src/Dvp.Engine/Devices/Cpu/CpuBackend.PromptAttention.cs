using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

// Absorbed prompt attention. A "row" is one head of one query: R = P H rows a sequence, row p H + h. Three phases, each over all threads:
// queries through the key projection (u), one pass over the visual tokens of a sequence with a running softmax for all rows together
// (scores, p, z), and z through the value projection.
public sealed unsafe partial class CpuBackend
{
    /// <summary>Visual tokens that are worked on at a time: with 768 channels they fit the second-level cache.</summary>
    private const int PromptTokens = 32;

    /// <summary>Visual channels of a piece of work on a projection.</summary>
    private const int PromptChannels = 192;

    /// <summary>Outputs of a piece of a product with a projection's rows.</summary>
    private const int PromptOutputs = 32;

    /// <summary>A matrix in any float type, read as f32 by pieces.</summary>
    private readonly struct TypedView
    {
        internal readonly byte* Data;
        internal readonly ElementType Type;
        internal readonly long Stride;

        internal TypedView(Tensor tensor)
        {
            Data = (byte*)tensor.Address;
            Type = tensor.Type;
            Stride = tensor.RowStride;
        }

        internal bool IsFloat => Type == ElementType.F32;

        /// <summary>Some rows and columns: where they lie, or widened into <paramref name="scratch"/>.</summary>
        internal float* Block(long row, int rows, int column, int columns, float* scratch, out long stride)
        {
            if (IsFloat)
            {
                stride = Stride;
                return (float*)Data + (row * Stride) + column;
            }

            stride = columns;
            for (int i = 0; i < rows; i++)
            {
                void* from = (ushort*)Data + ((row + i) * Stride) + column;
                CpuConvert.ToFloat(scratch + ((long)i * columns), from, Type, columns);
            }

            return scratch;
        }
    }

    private struct PromptContext
    {
        internal View Query;
        internal View Context;
        internal View QueryGradient;
        internal View TokenGradient;
        internal View KeyGradient;
        internal View ValueGradient;
        internal float* ValueBiasGradient;
        internal float* ValueBias;
        internal TypedView Tokens;
        internal TypedView Key;
        internal TypedView Value;
        internal View KeepMask;
        internal PhiloxStream Stream;
        internal float* Absorbed;
        internal float* Probabilities;
        internal float* Condensed;
        internal float* ProbabilitySum;

        // Gradients of Condensed and Absorbed, in the backend's own memory.
        internal float* CondensedGradient;
        internal float* AbsorbedGradient;
        internal int Batch;
        internal int Queries;
        internal int Heads;
        internal int HeadSize;
        internal int Count;
        internal int Channels;
        internal int RowsOfSequence;
        internal int Groups;
        internal float Scale;
        internal bool Drops;

        internal readonly int ChannelPieces => (Channels + PromptChannels - 1) / PromptChannels;

        internal readonly int OutputPieces => (HeadSize + PromptOutputs - 1) / PromptOutputs;
    }

    /// <inheritdoc/>
    public override void PromptAttentionForward(
        PromptAttentionState saved, Tensor context, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        const string Operation = nameof(PromptAttentionForward);
        NoteLaunch();
        PromptContext c = Prompt(Operation, saved, context, q, x, keyWeight, valueWeight, valueBias, heads, dropout);
        Run(heads * c.ChannelPieces, &PromptAbsorbBody, &c);
        Run(c.Batch * c.Groups, &PromptAttendBody, &c);
        Run(heads * c.OutputPieces, &PromptContextBody, &c);
    }

    private static PromptContext Prompt(
        string operation, PromptAttentionState saved, Tensor context, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        Require(q.Shape.Length == 3 && x.Shape.Length == 3 && q.Extent(0) == x.Extent(0), operation, q, x);
        Require(heads > 0 && q.Columns % heads == 0, operation, q);
        RequireEqual(q, context, operation);
        Tensor key = keyWeight.Value;
        Tensor value = valueWeight.Value;
        Require(key.Rows == q.Columns && key.Columns == x.Columns, operation, key, x);
        RequireEqual(key, value, operation);
        Require(x.Type.Size() == 2 ? x.Type.IsFloat() : x.Type == ElementType.F32, operation, x);
        PromptContext c = new()
        {
            Query = new View(q, operation),
            Context = new View(context, operation),
            ValueBias = Flat(valueBias.Value, q.Columns, operation),
            Tokens = new TypedView(x),
            Key = new TypedView(key),
            Value = new TypedView(value),
            Batch = q.Extent(0),
            Queries = q.Extent(1),
            Heads = heads,
            HeadSize = q.Columns / heads,
            Count = x.Extent(1),
            Channels = x.Columns,
            Scale = 1 / MathF.Sqrt((float)q.Columns / heads),
            Drops = dropout is not null,
        };
        c.RowsOfSequence = c.Queries * heads;

        // Few sequences: split their rows, so that several threads have work; the features are then read once a group.
        c.Groups = c.Batch >= 8 ? 1 : Math.Min(4, (c.RowsOfSequence + 3) / 4);
        long rows = (long)c.Batch * c.RowsOfSequence;
        c.Absorbed = Flat(saved.Absorbed, rows * c.Channels, operation);
        c.Condensed = Flat(saved.Condensed, rows * c.Channels, operation);
        c.Probabilities = Flat(saved.Probabilities, rows * c.Count, operation);
        c.ProbabilitySum = Flat(saved.ProbabilitySum, rows, operation);
        if (dropout is not null)
        {
            SetDropout(ref c.KeepMask, ref c.Stream, dropout, rows * c.Count, c.Count, operation);
        }

        return c;
    }

    // u_h = W_K,h^T q_h for all sequences: (B P, D) times (D, some channels).
    private static void PromptAbsorbBody(void* context, int piece)
    {
        ref PromptContext c = ref *(PromptContext*)context;
        (int head, int part) = Math.DivRem(piece, c.ChannelPieces);
        int first = part * PromptChannels;
        int count = Math.Min(PromptChannels, c.Channels - first);
        float* scratch = CpuScratch.Floats((long)c.HeadSize * count);
        float* weight = c.Key.Block((long)head * c.HeadSize, c.HeadSize, first, count, scratch, out long stride);
        float* u = c.Absorbed + ((long)head * c.Channels) + first;
        CpuProducts.Multiply(
            u, (long)c.Heads * c.Channels, c.Query.Row(0) + (head * c.HeadSize), c.Query.Stride, 1, weight, stride,
            c.Batch * c.Queries, count, c.HeadSize, alpha: 1, accumulate: false);
    }

    private static void PromptAttendBody(void* context, int piece)
    {
        ref PromptContext c = ref *(PromptContext*)context;
        (int batch, int group) = Math.DivRem(piece, c.Groups);
        (int first, int rows) = PromptRows(ref c, group);
        int channels = c.Channels;
        long sequenceRow = ((long)batch * c.RowsOfSequence) + first;
        float* u = c.Absorbed + (sequenceRow * channels);
        float* z = c.Condensed + (sequenceRow * channels);
        float* maxima = CpuScratch.Floats((2L * rows) + ((rows + 1L) * PromptTokens) + ((long)PromptTokens * channels));
        float* sums = maxima + rows;
        float* scores = sums + rows;
        float* factors = scores + ((long)rows * PromptTokens);
        float* wide = factors + PromptTokens;
        new Span<float>(maxima, rows).Fill(float.NegativeInfinity);
        new Span<float>(sums, rows).Clear();
        new Span<float>(c.ProbabilitySum + sequenceRow, rows).Clear();
        for (int token = 0; token < c.Count; token += PromptTokens)
        {
            int count = Math.Min(PromptTokens, c.Count - token);
            float* x = c.Tokens.Block(((long)batch * c.Count) + token, count, 0, channels, wide, out long stride);
            CpuProducts.MultiplyTransposed(
                scores, PromptTokens, u, channels, x, stride, rows, count, channels, c.Scale, accumulate: false);
            for (int row = 0; row < rows; row++)
            {
                long place = (PromptPlace(ref c, batch, first + row) * c.Count) + token;
                float* s = scores + ((long)row * PromptTokens);
                new ReadOnlySpan<float>(s, count).CopyTo(new Span<float>(c.Probabilities + place, count));
                float max = CpuRows.Max(s, count);
                if (max > maxima[row])
                {
                    if (token > 0)
                    {
                        float shrink = MathF.Exp(maxima[row] - max);
                        sums[row] *= shrink;
                        c.ProbabilitySum[sequenceRow + row] *= shrink;
                        CpuRows.Scale(z + ((long)row * channels), shrink, z + ((long)row * channels), channels);
                    }

                    maxima[row] = max;
                }

                ExponentialRow(s, maxima[row], count);
                sums[row] += CpuRows.Sum(s, count);
                if (c.Drops)
                {
                    CpuRows.Multiply(s, s, PromptFactors(factors, ref c, place, count), count);
                    c.ProbabilitySum[sequenceRow + row] += CpuRows.Sum(s, count);
                }
            }

            CpuProducts.Multiply(
                z, channels, scores, PromptTokens, 1, x, stride, rows, channels, count, alpha: 1, accumulate: token > 0);
        }

        for (int row = 0; row < rows; row++)
        {
            float inverse = 1 / sums[row];
            CpuRows.Scale(z + ((long)row * channels), inverse, z + ((long)row * channels), channels);
            float* p = c.Probabilities + (PromptPlace(ref c, batch, first + row) * c.Count);
            ExponentialRow(p, maxima[row], c.Count);
            CpuRows.Scale(p, inverse, p, c.Count);
            float* sum = c.ProbabilitySum + sequenceRow + row;
            *sum = c.Drops ? *sum * inverse : 1;
        }
    }

    // context_h = W_V,h z_h + b_V,h sum(p) for all sequences: (B P, V) times some rows of W_V,h.
    private static void PromptContextBody(void* context, int piece)
    {
        ref PromptContext c = ref *(PromptContext*)context;
        (int head, int part) = Math.DivRem(piece, c.OutputPieces);
        int first = (head * c.HeadSize) + (part * PromptOutputs);
        int count = Math.Min(PromptOutputs, c.HeadSize - (part * PromptOutputs));
        float* scratch = CpuScratch.Floats((long)count * c.Channels);
        float* weight = c.Value.Block(first, count, 0, c.Channels, scratch, out long stride);
        int sequences = c.Batch * c.Queries;
        CpuProducts.MultiplyTransposed(
            c.Context.Row(0) + first, c.Context.Stride, c.Condensed + ((long)head * c.Channels), (long)c.Heads * c.Channels, weight, stride,
            sequences, count, c.Channels, alpha: 1, accumulate: false);
        for (int row = 0; row < sequences; row++)
        {
            CpuRows.AddScaled(c.Context.Row(row) + first, c.ProbabilitySum[((long)row * c.Heads) + head], c.ValueBias + first, count);
        }
    }

    /// <summary>The rows of a group of a sequence.</summary>
    private static (int First, int Count) PromptRows(ref PromptContext c, int group)
    {
        int size = (c.RowsOfSequence + c.Groups - 1) / c.Groups;
        int first = Math.Min(group * size, c.RowsOfSequence);
        return (first, Math.Min(size, c.RowsOfSequence - first));
    }

    /// <summary>Where the row p H + h stands in (B, H, P).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long PromptPlace(ref PromptContext c, int batch, int row)
    {
        (int query, int head) = Math.DivRem(row, c.Heads);
        return ((((long)batch * c.Heads) + head) * c.Queries) + query;
    }

    /// <summary>Dropout factors of some probabilities of a row, the first at <paramref name="place"/> of all.</summary>
    private static float* PromptFactors(float* factors, ref PromptContext c, long place, int count)
    {
        if (c.KeepMask.Exists)
        {
            return c.KeepMask.Data + place;
        }

        c.Stream.Factors(factors, place, count);
        return factors;
    }

    /// <summary>x = e^(x - shift)</summary>
    private static void ExponentialRow(float* x, float shift, int count)
    {
        Vector256<float> m = Vector256.Create(shift);
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            VectorMath.Exp(Vector256.Load(x + i) - m).Store(x + i);
        }

        for (; i < count; i++)
        {
            x[i] = MathF.Exp(x[i] - shift);
        }
    }
}
