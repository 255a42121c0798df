using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Profiling;

/// <summary>Sizes whose operators are measured.</summary>
internal sealed record OpSizes
{
    public int Channels { get; init; } = 768;

    public int Heads { get; init; } = 12;

    public int FeedForward { get; init; } = 3072;

    public int Adapter { get; init; } = 96;

    public int TextTokens { get; init; } = 16;

    public int VisualTokens { get; init; } = 197;

    public int VisualChannels { get; init; } = 768;

    public int Answers { get; init; } = 3129;

    public int Vocabulary { get; init; } = 30522;

    public int EncoderBatch { get; init; } = 64;
}

/// <summary>
/// The operators of DVP-BERT-base with adapters and of its visual encoder: the products that a forward pass and an adapter training step
/// make, and everything between them, at the shapes they have there.
/// </summary>
internal static partial class OpCases
{
    /// <summary>All of them.</summary>
    /// <param name="s">Sizes of the model.</param>
    /// <param name="batches">Batches of questions.</param>
    /// <param name="element">Bytes of a stored element.</param>
    public static IEnumerable<OpCase> All(OpSizes s, IReadOnlyList<int> batches, int element)
    {
        foreach (int batch in batches)
        {
            int tokens = s.TextTokens + 1, rows = batch * tokens, c = s.Channels;
            yield return Linear(rows, c, 3 * c, Activation.None, element);
            yield return Linear(rows, c, c, Activation.None, element);
            yield return Linear(rows, c, s.FeedForward, Activation.GeluErf, element);
            yield return Linear(rows, s.FeedForward, c, Activation.None, element);
            yield return Linear(batch, 2 * c, s.Answers, Activation.None, element);
            yield return LinearBackwardInput(rows, c, 3 * c, element);
            yield return LinearBackwardInput(rows, c, s.FeedForward, element);
            yield return LinearBackwardInput(rows, s.FeedForward, c, element);
            yield return LinearBackwardParameters(batch, 2 * c, s.Answers, element);
            yield return AdapterForward(rows, c, s.Adapter, element);
            yield return AdapterBackward(rows, c, s.Adapter, element);
            yield return LayerNormForward(rows, c, element);
            yield return LayerNormBackward(rows, c, element);
            yield return LayerNormBackwardParameters(rows, c, element);
            yield return AttentionForward(batch, tokens, s.Heads, c / s.Heads, element);
            yield return AttentionBackward(batch, tokens, s.Heads, c / s.Heads, element);
            yield return PromptForward(batch, s, element);
            yield return PromptBackward(batch, s, element);
            yield return Embedding(batch, s, element);
            yield return Bce(batch, s.Answers, element);
            foreach (OpCase one in Rest(batch, s, element))
            {
                yield return one;
            }
        }

        foreach (OpCase one in Once(s, element))
        {
            yield return one;
        }

        int patches = s.EncoderBatch * s.VisualTokens;
        yield return Linear(patches, s.VisualChannels, 4 * s.VisualChannels, Activation.QuickGelu, element);
        yield return Linear(patches, 4 * s.VisualChannels, s.VisualChannels, Activation.None, element);
        yield return LayerNormForward(patches, s.VisualChannels, element);
        yield return AttentionForward(s.EncoderBatch, s.VisualTokens, s.VisualChannels / 64, 64, element);
    }

    private static OpCase Linear(int rows, int inputs, int outputs, Activation activation, int element) => Make(
        activation switch { Activation.None => "linear_forward", Activation.GeluErf => "linear_gelu_forward", _ => "linear_quick_gelu_forward" },
        [new("rows", rows), new("inputs", inputs), new("outputs", outputs)],
        Product(rows, inputs, outputs),
        element * (Area(rows, inputs) + Area(outputs, inputs) + Area(rows, outputs)),
        o =>
        {
            (Tensor y, Tensor x) = (o.Activations(rows, outputs), o.Activations(rows, inputs));
            (ParameterBlock weight, ParameterBlock bias) = (o.Parameter(false, outputs, inputs), o.Parameter(false, outputs));
            return () => o.Backend.LinearForward(y, null, x, weight, bias, activation, null);
        });

    private static OpCase LinearBackwardInput(int rows, int inputs, int outputs, int element) => Make(
        "linear_backward_input",
        [new("rows", rows), new("inputs", inputs), new("outputs", outputs)],
        Product(rows, inputs, outputs),
        element * (Area(rows, inputs) + Area(outputs, inputs) + Area(rows, outputs)),
        o =>
        {
            (Tensor dx, Tensor dy, ParameterBlock weight) = (o.Activations(rows, inputs), o.Activations(rows, outputs), o.Parameter(false, outputs, inputs));
            return () => o.Backend.LinearBackwardInput(dx, dy, weight, accumulate: false);
        });

    // The gradient is f32 and added to: it is read and written.
    private static OpCase LinearBackwardParameters(int rows, int inputs, int outputs, int element) => Make(
        "linear_backward_parameters",
        [new("rows", rows), new("inputs", inputs), new("outputs", outputs)],
        Product(rows, inputs, outputs),
        (element * (Area(rows, inputs) + Area(rows, outputs))) + (8 * Area(outputs, inputs)),
        o =>
        {
            (Tensor dweight, Tensor dbias, Tensor dy, Tensor x) =
                (o.Sums(outputs, inputs), o.Sums(outputs), o.Activations(rows, outputs), o.Activations(rows, inputs));
            return () => o.Backend.LinearBackwardParameters(dweight, dbias, dy, x);
        });

    private static AdapterParameters Adapter(OpOperands o, int channels, int hidden) => new(
        o.Parameter(true, hidden, channels), o.Parameter(true, hidden), o.Parameter(true, channels, hidden), o.Parameter(true, channels), Activation.Relu);

    private static OpCase AdapterForward(int rows, int channels, int hidden, int element) => Make(
        "adapter_forward",
        [new("rows", rows), new("channels", channels), new("hidden", hidden)],
        2 * Product(rows, channels, hidden),
        element * ((2 * Area(rows, channels)) + (2 * Area(rows, hidden)) + (2 * Area(channels, hidden))),
        o =>
        {
            AdapterParameters adapter = Adapter(o, channels, hidden);
            (Tensor y, Tensor x) = (o.Activations(rows, channels), o.Activations(rows, channels));
            (Tensor before, Tensor after) = (o.Activations(rows, hidden), o.Activations(rows, hidden));
            return () => o.Backend.AdapterForward(y, before, after, x, adapter);
        });

    // dx, and the gradients of two matrices: four products; dy and x are read by both kinds.
    private static OpCase AdapterBackward(int rows, int channels, int hidden, int element) => Make(
        "adapter_backward",
        [new("rows", rows), new("channels", channels), new("hidden", hidden)],
        4 * Product(rows, channels, hidden),
        (element * ((3 * Area(rows, channels)) + (2 * Area(rows, hidden)) + (2 * Area(channels, hidden)))) + (16 * Area(channels, hidden)),
        o =>
        {
            AdapterParameters adapter = Adapter(o, channels, hidden);
            (Tensor dx, Tensor dy, Tensor x) = (o.Activations(rows, channels), o.Activations(rows, channels), o.Activations(rows, channels));
            (Tensor dhidden, Tensor before, Tensor after) = (o.Activations(rows, hidden), o.Activations(rows, hidden), o.Activations(rows, hidden));
            return () => o.Backend.AdapterBackward(dx, dhidden, dy, x, before, after, adapter);
        });

    private static OpCase LayerNormForward(int rows, int channels, int element) => Make(
        "layernorm_forward", [new("rows", rows), new("channels", channels)], 8 * Area(rows, channels), 4 * element * Area(rows, channels), o =>
        {
            (Tensor y, Tensor x, Tensor residual) = (o.Activations(rows, channels), o.Activations(rows, channels), o.Activations(rows, channels));
            NormState saved = Norm(o, rows, channels);
            (ParameterBlock gamma, ParameterBlock beta) = (o.Parameter(false, channels), o.Parameter(false, channels));
            return () => o.Backend.LayerNormForward(saved, y, x, residual, gamma, beta, 1e-12f);
        });

    private static OpCase LayerNormBackward(int rows, int channels, int element) => Make(
        "layernorm_backward", [new("rows", rows), new("channels", channels)], 11 * Area(rows, channels), 3 * element * Area(rows, channels), o =>
        {
            (Tensor ds, Tensor dy, NormState saved) = (o.Activations(rows, channels), o.Activations(rows, channels), Norm(o, rows, channels));
            ParameterBlock gamma = o.Parameter(false, channels);
            return () => o.Backend.LayerNormBackward(ds, dy, saved, gamma, accumulate: false);
        });

    private static OpCase LayerNormBackwardParameters(int rows, int channels, int element) => Make(
        "layernorm_backward_parameters", [new("rows", rows), new("channels", channels)], 5 * Area(rows, channels), 2 * element * Area(rows, channels), o =>
        {
            (Tensor dgamma, Tensor dbeta) = (o.Sums(channels), o.Sums(channels));
            (Tensor dy, NormState saved) = (o.Activations(rows, channels), Norm(o, rows, channels));
            return () => o.Backend.LayerNormBackwardParameters(dgamma, dbeta, dy, saved);
        });

    private static NormState Norm(OpOperands o, int rows, int channels) => new(o.Activations(rows, channels), o.Sums(rows), o.Sums(rows));

    private static OpCase AttentionForward(int batch, int tokens, int heads, int size, int element) => Make(
        "attention_forward",
        [new("batch", batch), new("tokens", tokens), new("heads", heads), new("size", size)],
        4.0 * batch * heads * tokens * tokens * size,
        4.0 * element * batch * tokens * heads * size,
        o =>
        {
            Attention a = new(o, batch, tokens, heads, size);
            return () => o.Backend.AttentionForward(a.Context, null, a.Q, a.K, a.V, a.Options);
        });

    private static OpCase AttentionBackward(int batch, int tokens, int heads, int size, int element) => Make(
        "attention_backward",
        [new("batch", batch), new("tokens", tokens), new("heads", heads), new("size", size)],
        10.0 * batch * heads * tokens * tokens * size,
        8.0 * element * batch * tokens * heads * size,
        o =>
        {
            Attention a = new(o, batch, tokens, heads, size);
            Tensor saved = o.Sums(o.Backend.AttentionSavedElements(batch, heads, tokens, tokens));
            Tensor dqkv = o.Activations(batch, tokens, 3 * heads * size), dcontext = o.Activations(batch, tokens, heads * size);
            (Tensor dq, Tensor dk, Tensor dv) = Thirds(dqkv, heads * size);
            o.Backend.AttentionForward(a.Context, saved, a.Q, a.K, a.V, a.Options);
            return () => o.Backend.AttentionBackward(dq, dk, dv, null, dcontext, a.Context, saved, a.Q, a.K, a.V, a.Options);
        });

    /// <summary>Query, key and value side by side, as one product leaves them, and no padding.</summary>
    private sealed class Attention
    {
        public Attention(OpOperands o, int batch, int tokens, int heads, int size)
        {
            (Q, K, V) = Thirds(o.Activations(batch, tokens, 3 * heads * size), heads * size);
            Context = o.Activations(batch, tokens, heads * size);
            Options = new AttentionOptions(heads, heads, 1 / MathF.Sqrt(size));
        }

        public Tensor Q { get; }

        public Tensor K { get; }

        public Tensor V { get; }

        public Tensor Context { get; }

        public AttentionOptions Options { get; }
    }

    private static (Tensor First, Tensor Second, Tensor Third) Thirds(Tensor all, int width) =>
        (all.SliceColumns(0, width), all.SliceColumns(width, width), all.SliceColumns(2 * width, width));

    // Absorbed: the features are read once, and both projections are applied to one query.
    private static OpCase PromptForward(int batch, OpSizes s, int element) => Make(
        "prompt_attention_forward",
        PromptSizes(batch, s),
        batch * ((4.0 * s.Heads * s.VisualTokens * s.VisualChannels) + (4.0 * s.Channels * s.VisualChannels)),
        element * (((double)batch * s.VisualTokens * s.VisualChannels) + (2.0 * s.Channels * s.VisualChannels)),
        o =>
        {
            Prompt p = new(o, batch, s);
            return () => o.Backend.PromptAttentionForward(p.Saved, p.Context, p.Q, p.X, p.Key, p.Value, p.ValueBias, s.Heads, null);
        });

    private static OpCase PromptBackward(int batch, OpSizes s, int element) => Make(
        "prompt_attention_backward",
        PromptSizes(batch, s),
        batch * ((4.0 * s.Heads * s.VisualTokens * s.VisualChannels) + (8.0 * s.Channels * s.VisualChannels)),
        (element * (((double)batch * s.VisualTokens * s.VisualChannels) + (2.0 * s.Channels * s.VisualChannels)))
            + (16.0 * s.Channels * s.VisualChannels),
        o =>
        {
            Prompt p = new(o, batch, s);
            (Tensor dq, Tensor dcontext) = (o.Activations(batch, 1, s.Channels), o.Activations(batch, 1, s.Channels));
            o.Backend.PromptAttentionForward(p.Saved, p.Context, p.Q, p.X, p.Key, p.Value, p.ValueBias, s.Heads, null);
            return () => o.Backend.PromptAttentionBackward(dq, null, dcontext, p.Saved, p.Q, p.X, p.Key, p.Value, p.ValueBias, s.Heads, null);
        });

    private static OpSize[] PromptSizes(int batch, OpSizes s) =>
        [new("batch", batch), new("visual_tokens", s.VisualTokens), new("visual_channels", s.VisualChannels), new("channels", s.Channels), new("heads", s.Heads)];

    private sealed class Prompt(OpOperands o, int batch, OpSizes s)
    {
        public Tensor Q { get; } = o.Activations(batch, 1, s.Channels);

        public Tensor X { get; } = o.Activations(batch, s.VisualTokens, s.VisualChannels);

        public Tensor Context { get; } = o.Activations(batch, 1, s.Channels);

        public ParameterBlock Key { get; } = o.Parameter(true, s.Channels, s.VisualChannels);

        public ParameterBlock Value { get; } = o.Parameter(true, s.Channels, s.VisualChannels);

        public ParameterBlock ValueBias { get; } = o.Parameter(true, s.Channels);

        public PromptAttentionState Saved { get; } = new(
            o.Sums(batch, 1, s.Heads * s.VisualChannels), o.Sums(batch, s.Heads, 1, s.VisualTokens), o.Sums(batch, 1, s.Heads * s.VisualChannels),
            o.Sums(batch, 1, s.Heads));
    }

    private static OpCase Embedding(int batch, OpSizes s, int element) => Make(
        "embedding_forward",
        [new("batch", batch), new("tokens", s.TextTokens), new("channels", s.Channels), new("vocabulary", s.Vocabulary)],
        2 * Area(batch * s.TextTokens, s.Channels),
        2 * element * Area(batch * s.TextTokens, s.Channels),
        o =>
        {
            (Tensor y, Tensor ids) = (o.Activations(batch, s.TextTokens, s.Channels), o.Integers(s.Vocabulary, batch, s.TextTokens));
            (ParameterBlock words, ParameterBlock positions, ParameterBlock types) =
                (o.Parameter(false, s.Vocabulary, s.Channels), o.Parameter(false, 512, s.Channels), o.Parameter(false, 2, s.Channels));
            return () => o.Backend.EmbeddingForward(y, ids, words, positions, types, null);
        });

    private static OpCase Bce(int batch, int answers, int element) => Make(
        "bce_with_logits", [new("rows", batch), new("classes", answers)], 8 * Area(batch, answers), ((2 * element) + 4) * Area(batch, answers), o =>
        {
            (Tensor loss, Tensor dlogits, Tensor logits, Tensor targets) =
                (o.Sums(1), o.Activations(batch, answers), o.Activations(batch, answers), o.Sums(batch, answers));
            return () => o.Backend.BceWithLogits(loss, dlogits, logits, targets, 1);
        });

    private static OpCase Make(string op, IReadOnlyList<OpSize> sizes, double flops, double bytes, Func<OpOperands, Action> prepare) =>
        new(op, sizes, flops, bytes) { Prepare = prepare };

    private static double Area(int rows, int columns) => (double)rows * columns;

    private static double Product(int rows, int inputs, int outputs) => 2.0 * rows * inputs * outputs;
}
