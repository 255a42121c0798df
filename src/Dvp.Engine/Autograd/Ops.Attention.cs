using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

public static partial class Ops
{
    /// <summary>Self-attention from one product: query, keys and values side by side.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="qkv">(B, T, (H + 2 G) D); where positions are turned in, query and keys are turned in place</param>
    /// <param name="options">Heads, masks; the dropout is <paramref name="dropoutRate"/>'s and the bias <paramref name="bias"/>.</param>
    /// <param name="dropoutRate">Dropout on the probabilities.</param>
    /// <param name="bias">(H, T, T) added to the scores, which may serve several attentions; or null</param>
    /// <param name="rotation">Positions to turn into query and keys; or null.</param>
    /// <returns>(B, T, H D)</returns>
    public static Variable SelfAttention(
        this Graph graph, Variable qkv, AttentionOptions options, float dropoutRate, Variable? bias = null, Rotation? rotation = null)
    {
        (int heads, int keyHeads) = (options.Heads, options.KeyHeads);
        int size = qkv.Value.Columns / (heads + (2 * keyHeads));
        Tensor Part(Tensor packed, int start, int count) => packed.SliceColumns(start * size, count * size);
        (Tensor q, Tensor k, Tensor v) = (
            Part(qkv.Value, 0, heads), Part(qkv.Value, heads, keyHeads), Part(qkv.Value, heads + keyHeads, keyHeads));
        if (rotation is not null)
        {
            Tensor turned = Part(qkv.Value, 0, heads + keyHeads);
            graph.Forward(() => rotation.Turn(graph.Backend, turned, heads + keyHeads, 1));
        }

        (Variable context, Tensor? saved, AttentionOptions full) = graph.AttentionForward(
            q, k, v, qkv.NeedsGradient, bias, options, dropoutRate);

        graph.OnBackward(context, () =>
        {
            Tensor? d = qkv.NeedsGradient ? graph.FirstGradientOf(qkv) : null;
            (Tensor? dq, Tensor? dk, Tensor? dv) = d is null
                ? (null, null, null)
                : (Part(d, 0, heads), Part(d, heads, keyHeads), Part(d, heads + keyHeads, keyHeads));
            Tensor? dbias = graph.SumOfBias(bias);
            graph.BackwardStep(() => graph.Backend.AttentionBackward(
                dq, dk, dv, dbias, context.Gradient!, context.Value, saved!, q, k, v, full));
            if (rotation is not null && d is not null)
            {
                Tensor turned = Part(d, 0, heads + keyHeads);
                graph.BackwardStep(() => rotation.Turn(graph.Backend, turned, heads + keyHeads, -1));
            }
        });
        return context;
    }

    /// <summary>Attention of some queries over keys and values that lie side by side.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="q">(B, Tq, H D); turned in place where positions are turned in</param>
    /// <param name="kv">(B, Tk, 2 G D); the keys are turned in place where positions are turned in</param>
    /// <param name="options">Heads, masks; the dropout is <paramref name="dropoutRate"/>'s and the bias <paramref name="bias"/>.</param>
    /// <param name="dropoutRate">Dropout on the probabilities.</param>
    /// <param name="bias">(H, Tq, Tk) added to the scores; or null</param>
    /// <param name="queryRotation">Positions to turn into the queries; or null.</param>
    /// <param name="keyRotation">Positions to turn into the keys; or null.</param>
    /// <returns>(B, Tq, H D)</returns>
    public static Variable Attention(
        this Graph graph, Variable q, Variable kv, AttentionOptions options, float dropoutRate, Variable? bias = null,
        Rotation? queryRotation = null, Rotation? keyRotation = null)
    {
        int channels = kv.Value.Columns / 2;
        (int heads, int keyHeads) = (options.Heads, options.KeyHeads);
        Tensor Part(Tensor packed, int index) => packed.SliceColumns(index * channels, channels);
        (Tensor k, Tensor v) = (Part(kv.Value, 0), Part(kv.Value, 1));
        Turn(q.Value, queryRotation, heads);
        Turn(k, keyRotation, keyHeads);
        (Variable context, Tensor? saved, AttentionOptions full) = graph.AttentionForward(
            q.Value, k, v, q.NeedsGradient || kv.NeedsGradient, bias, options, dropoutRate);

        graph.OnBackward(context, () =>
        {
            Tensor? dq = q.NeedsGradient ? graph.FirstGradientOf(q) : null;
            Tensor? dkv = kv.NeedsGradient ? graph.FirstGradientOf(kv) : null;
            Tensor? dk = dkv is null ? null : Part(dkv, 0);
            Tensor? dv = dkv is null ? null : Part(dkv, 1);
            Tensor? dbias = graph.SumOfBias(bias);
            graph.BackwardStep(() => graph.Backend.AttentionBackward(
                dq, dk, dv, dbias, context.Gradient!, context.Value, saved!, q.Value, k, v, full));
            TurnBack(dq, queryRotation, heads);
            TurnBack(dk, keyRotation, keyHeads);
        });
        return context;

        void Turn(Tensor x, Rotation? rotation, int count)
        {
            if (rotation is not null)
            {
                graph.Forward(() => rotation.Turn(graph.Backend, x, count, 1));
            }
        }

        void TurnBack(Tensor? dx, Rotation? rotation, int count)
        {
            if (rotation is not null && dx is not null)
            {
                graph.BackwardStep(() => rotation.Turn(graph.Backend, dx, count, -1));
            }
        }
    }

    /// <summary>Cross-attention that condenses N visual tokens into one token a query, without making keys and values.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="q">(B, P, M) projected query</param>
    /// <param name="x">(B, N, V) visual tokens; no gradient flows to them unless they need one</param>
    /// <param name="key">(M, V)</param>
    /// <param name="value">(M, V)</param>
    /// <param name="valueBias">(M)</param>
    /// <param name="heads">H</param>
    /// <param name="dropoutRate">Dropout on the probabilities.</param>
    /// <returns>The context (B, P, M) and the probabilities (B, H, P, N) before dropout.</returns>
    public static (Variable Context, Tensor Probabilities) PromptAttention(
        this Graph graph, Variable q, Variable x, ParameterBlock key, ParameterBlock value, ParameterBlock valueBias, int heads, float dropoutRate)
    {
        Backend backend = graph.Backend;
        (int batch, int queries) = (q.Value.Extent(0), q.Value.Extent(1));
        (int tokens, int visual) = (x.Value.Extent(1), x.Value.Extent(2));
        bool trains = key.Trains || value.Trains || valueBias.Trains;
        Variable context = graph.Result(q.NeedsGradient || x.NeedsGradient || trains, batch, queries, q.Value.Columns);
        PromptAttentionState saved = new(
            graph.SaveStatistics(batch, queries, heads * visual), graph.SaveStatistics(batch, heads, queries, tokens),
            graph.SaveStatistics(batch, queries, heads * visual), graph.SaveStatistics(batch, queries, heads));
        Dropout? dropout = graph.NewDropout(dropoutRate);
        graph.Forward(() => backend.PromptAttentionForward(saved, context.Value, q.Value, x.Value, key, value, valueBias, heads, dropout));

        graph.OnBackward(context, () =>
        {
            Tensor? dq = q.NeedsGradient ? graph.FirstGradientOf(q) : null;
            Tensor? dx = x.NeedsGradient ? graph.FirstGradientOf(x) : null;
            graph.Trains(key, value, valueBias);
            graph.BackwardStep(() => backend.PromptAttentionBackward(
                dq, dx, context.Gradient!, saved, q.Value, x.Value, key, value, valueBias, heads, dropout));
        });
        return (context, saved.Probabilities);
    }

    private static (Variable Context, Tensor? Saved, AttentionOptions Options) AttentionForward(
        this Graph graph, Tensor q, Tensor k, Tensor v, bool needsGradient, Variable? bias, AttentionOptions options, float dropoutRate)
    {
        Backend backend = graph.Backend;
        Variable context = graph.Result(needsGradient || bias is { NeedsGradient: true }, q.Shape);
        AttentionOptions full = options with { Bias = bias?.Value, Dropout = graph.NewDropout(dropoutRate) };
        Tensor? saved = context.NeedsGradient
            ? graph.SaveStatistics(backend.AttentionSavedElements(q.Extent(0), options.Heads, q.Extent(1), k.Extent(1)))
            : null;
        graph.Forward(() => backend.AttentionForward(context.Value, saved, q, k, v, full));
        return (context, saved, full);
    }

    /// <summary>The sum that attentions add the gradient of their common bias to; null where the bias needs none.</summary>
    private static Tensor? SumOfBias(this Graph graph, Variable? bias)
    {
        if (bias is not { NeedsGradient: true })
        {
            return null;
        }

        (Tensor sum, bool accumulate) = graph.GradientOf(bias);
        if (!accumulate)
        {
            graph.BackwardStep(() => graph.Backend.Fill(sum, 0));
        }

        return sum;
    }

    /// <summary>The gradient of a variable whose only reader is the operator that asks.</summary>
    private static Tensor FirstGradientOf(this Graph graph, Variable x)
    {
        (Tensor gradient, bool accumulate) = graph.GradientOf(x);
        return accumulate ? throw new InvalidOperationException("This operator must be the only reader of its input.") : gradient;
    }
}
