using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

public static partial class Ops
{
    /// <summary>Self-attention from one product: query, key and value side by side.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="qkv">(B, T, 3 C)</param>
    /// <param name="options">Heads, masks; the dropout is <paramref name="dropoutRate"/>'s.</param>
    /// <param name="dropoutRate">Dropout on the probabilities.</param>
    /// <returns>(B, T, C)</returns>
    public static Variable SelfAttention(this Graph graph, Variable qkv, AttentionOptions options, float dropoutRate)
    {
        int channels = qkv.Value.Columns / 3;
        Tensor Part(Tensor packed, int index) => packed.SliceColumns(index * channels, channels);
        (Tensor q, Tensor k, Tensor v) = (Part(qkv.Value, 0), Part(qkv.Value, 1), Part(qkv.Value, 2));
        (Variable context, Tensor? saved, AttentionOptions full) = graph.AttentionForward(q, k, v, qkv.NeedsGradient, options, dropoutRate);

        graph.OnBackward(context, () =>
        {
            Tensor d = graph.FirstGradientOf(qkv);
            (Tensor dq, Tensor dk, Tensor dv) = (Part(d, 0), Part(d, 1), Part(d, 2));
            graph.BackwardStep(() => graph.Backend.AttentionBackward(
                dq, dk, dv, null, context.Gradient!, context.Value, saved!, q, k, v, full));
        });
        return context;
    }

    /// <summary>Attention of some queries over keys and values that lie side by side.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="q">(B, Tq, C)</param>
    /// <param name="kv">(B, Tk, 2 G D)</param>
    /// <param name="options">Heads, masks; the dropout is <paramref name="dropoutRate"/>'s.</param>
    /// <param name="dropoutRate">Dropout on the probabilities.</param>
    /// <returns>(B, Tq, C)</returns>
    public static Variable Attention(this Graph graph, Variable q, Variable kv, AttentionOptions options, float dropoutRate)
    {
        int channels = kv.Value.Columns / 2;
        Tensor Part(Tensor packed, int index) => packed.SliceColumns(index * channels, channels);
        (Tensor k, Tensor v) = (Part(kv.Value, 0), Part(kv.Value, 1));
        (Variable context, Tensor? saved, AttentionOptions full) = graph.AttentionForward(
            q.Value, k, v, q.NeedsGradient || kv.NeedsGradient, options, dropoutRate);

        graph.OnBackward(context, () =>
        {
            Tensor? dq = q.NeedsGradient ? graph.FirstGradientOf(q) : null;
            Tensor? dkv = kv.NeedsGradient ? graph.FirstGradientOf(kv) : null;
            Tensor? dk = dkv is null ? null : Part(dkv, 0);
            Tensor? dv = dkv is null ? null : Part(dkv, 1);
            graph.BackwardStep(() => graph.Backend.AttentionBackward(
                dq, dk, dv, null, context.Gradient!, context.Value, saved!, q.Value, k, v, full));
        });
        return context;
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
        this Graph graph, Tensor q, Tensor k, Tensor v, bool needsGradient, AttentionOptions options, float dropoutRate)
    {
        Backend backend = graph.Backend;
        Variable context = graph.Result(needsGradient, q.Shape);
        AttentionOptions full = options with { Dropout = graph.NewDropout(dropoutRate) };
        Tensor? saved = context.NeedsGradient
            ? graph.SaveStatistics(backend.AttentionSavedElements(q.Extent(0), options.Heads, q.Extent(1), k.Extent(1)))
            : null;
        graph.Forward(() => backend.AttentionForward(context.Value, saved, q, k, v, full));
        return (context, saved, full);
    }

    /// <summary>The gradient of a variable whose only reader is the operator that asks.</summary>
    private static Tensor FirstGradientOf(this Graph graph, Variable x)
    {
        (Tensor gradient, bool accumulate) = graph.GradientOf(x);
        return accumulate ? throw new InvalidOperationException("This operator must be the only reader of its input.") : gradient;
    }
}
