using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class OpScenarios
{
    /// <summary>Sizes and options of an attention.</summary>
    internal sealed record AttentionCase(int Batch, int Queries, int Keys, int Heads, int KeyHeads, int Size)
    {
        public bool Causal { get; init; }

        public bool Mask { get; init; }

        public bool Lengths { get; init; }

        public bool Bias { get; init; }

        public float Dropout { get; init; }

        public bool Packed { get; init; }

        public string Name =>
            $"attention {Batch}x{Queries}/{Keys}, {Heads}/{KeyHeads} heads of {Size}"
            + (Causal ? ", causal" : "") + (Mask ? ", mask" : "") + (Lengths ? ", lengths" : "") + (Bias ? ", bias" : "")
            + (Dropout > 0 ? ", dropout" : "") + (Packed ? ", packed" : "");
    }

    private static IEnumerable<OpScenario> Attentions()
    {
        AttentionCase[] cases =
        [
            new(1, 1, 1, 1, 1, 1), new(2, 5, 5, 3, 3, 20) { Packed = true }, new(3, 17, 17, 2, 2, 64) { Lengths = true, Packed = true },
            new(2, 31, 31, 1, 1, 33) { Causal = true }, new(2, 32, 32, 2, 2, 32) { Mask = true, Packed = true },
            new(1, 33, 33, 4, 4, 31) { Bias = true }, new(2, 64, 64, 2, 2, 16) { Causal = true, Lengths = true, Packed = true },
            new(1, 65, 65, 2, 2, 80) { Dropout = 0.1f, Packed = true }, new(1, 257, 257, 2, 2, 24),
            new(2, 130, 130, 2, 1, 64) { Causal = true },
            new(1, 197, 197, 3, 3, 64) { Packed = true }, new(2, 5, 70, 4, 2, 16) { Causal = true, Mask = true },
            new(4, 1, 33, 8, 2, 16) { Lengths = true }, new(3, 2, 16, 4, 4, 8) { Bias = true, Lengths = true, Dropout = 0.3f },
            new(2, 17, 17, 12, 12, 64) { Mask = true, Dropout = 0.1f, Packed = true },
            new(2, 20, 20, 6, 1, 5) { Causal = true, Mask = true, Lengths = true, Bias = true, Dropout = 0.5f },
            new(16, 17, 17, 12, 12, 32) { Lengths = true, Packed = true }, new(1, 66, 300, 2, 2, 128) { Lengths = true },
        ];
        foreach (AttentionCase c in cases)
        {
            yield return new(c.Name, b => Attention(b, c), 2);
        }

        yield return new("attention, some gradients only", AttentionWithSomeGradients, 2);
    }

    internal static void Attention(OpBench b, AttentionCase c)
    {
        (Tensor q, Tensor k, Tensor v) = Operands(c, (name, shape) => b.Input(name, shape, spread: 2));
        (Tensor dq, Tensor dk, Tensor dv) = Operands(c, (_, shape) => b.Output(shape));
        AttentionOptions options = Options(b, c);
        Tensor saved = b.Statistic(b.Device.AttentionSavedElements(c.Batch, c.Heads, c.Queries, c.Keys));
        (Tensor context, Tensor inference) = (b.Output(q.Shape), b.Output(q.Shape));
        Tensor? dbias = c.Bias ? b.InOut("dbias", [c.Heads, c.Queries, c.Keys]) : null;
        b.Run(d => d.AttentionForward(context, saved, q, k, v, options));
        b.Run(d => d.AttentionForward(inference, null, q, k, v, options));
        Tensor dcontext = b.Input("dcontext", q.Shape);
        b.Run(d => d.AttentionBackward(dq, dk, dv, dbias, dcontext, context, saved, q, k, v, options));
        b.Result("context", context);
        b.Result("context of inference", inference);
        b.Result("dq", dq);
        b.Result("dk", dk);
        b.Result("dv", dv);
        if (dbias is not null)
        {
            b.Result("dbias", dbias);
        }
    }

    private static void AttentionWithSomeGradients(OpBench b)
    {
        AttentionCase c = new(2, 9, 13, 2, 2, 24) { Lengths = true, Bias = true };
        (Tensor q, Tensor k, Tensor v) = Operands(c, (name, shape) => b.Input(name, shape));
        AttentionOptions options = Options(b, c);
        Tensor saved = b.Statistic(b.Device.AttentionSavedElements(c.Batch, c.Heads, c.Queries, c.Keys));
        Tensor context = b.Output(q.Shape);
        b.Run(d => d.AttentionForward(context, saved, q, k, v, options));
        Tensor dcontext = b.Input("dcontext", q.Shape);
        (Tensor dq, Tensor dk, Tensor dv) = (b.Output(q.Shape), b.Output(k.Shape), b.Output(v.Shape));
        Tensor dbias = b.InOut("dbias", [c.Heads, c.Queries, c.Keys]);
        b.Run(d => d.AttentionBackward(dq, null, null, null, dcontext, context, saved, q, k, v, options));
        b.Run(d => d.AttentionBackward(null, dk, null, null, dcontext, context, saved, q, k, v, options));
        b.Run(d => d.AttentionBackward(null, null, dv, null, dcontext, context, saved, q, k, v, options));
        b.Run(d => d.AttentionBackward(null, null, null, dbias, dcontext, context, saved, q, k, v, options));
        b.Result("dq", dq);
        b.Result("dk", dk);
        b.Result("dv", dv);
        b.Result("dbias", dbias);
    }

    /// <summary>Query, key and value apart, or side by side where <see cref="AttentionCase.Packed"/> says so.</summary>
    private static (Tensor Query, Tensor Key, Tensor Value) Operands(AttentionCase c, Func<string, int[], Tensor> make)
    {
        (int wide, int narrow) = (c.Heads * c.Size, c.KeyHeads * c.Size);
        if (!c.Packed)
        {
            return (make("q", [c.Batch, c.Queries, wide]), make("k", [c.Batch, c.Keys, narrow]), make("v", [c.Batch, c.Keys, narrow]));
        }

        Tensor all = make("qkv", [c.Batch, c.Queries, wide + (2 * narrow)]);
        return (all.SliceColumns(0, wide), all.SliceColumns(wide, narrow), all.SliceColumns(wide + narrow, narrow));
    }

    private static AttentionOptions Options(OpBench b, AttentionCase c)
    {
        int[] mask = OpBench.Integers("mask", c.Batch * c.Keys, 0, 3); // anything but 0 shows a key
        int[] lengths = OpBench.Integers("lengths", c.Batch, 0, c.Keys + 3); // also beyond the keys
        if (c.Batch > 1)
        {
            mask.AsSpan(0, c.Keys).Clear(); // one sequence with no visible key at all
            lengths[^1] = 0;
        }

        lengths[0] = c.Keys;
        return new AttentionOptions(
            c.Heads, c.KeyHeads, 1 / MathF.Sqrt(c.Size), c.Causal,
            c.Mask ? b.Input(mask, c.Batch, c.Keys) : null,
            c.Lengths ? b.Input(lengths, c.Batch) : null,
            c.Bias ? b.Input("bias", [c.Heads, c.Queries, c.Keys]) : null,
            c.Dropout > 0 ? new Dropout(c.Dropout, 3, DropoutState(b)) : null);
    }

    private static IEnumerable<OpScenario> PromptAttentions()
    {
        foreach ((int batch, int prompts, int tokens, int visual, int channels, int heads, float dropout) in
            ((int, int, int, int, int, int, float)[])
            [(1, 1, 1, 5, 4, 2, 0), (3, 1, 17, 33, 30, 3, 0), (2, 3, 31, 64, 64, 4, 0.1f), (2, 1, 65, 65, 48, 12, 0.5f),
             (1, 2, 197, 128, 384, 12, 0), (9, 1, 33, 20, 24, 1, 0.1f), (16, 1, 65, 128, 384, 12, 0.1f)])
        {
            yield return new(
                $"prompt attention {batch}x{prompts}/{tokens}, {visual} to {channels}, {heads} heads{(dropout > 0 ? ", dropout" : "")}",
                b => PromptAttention(b, batch, prompts, tokens, visual, channels, heads, dropout, null, true), 2);
        }

        foreach (ElementType type in (ElementType[])[ElementType.F16, ElementType.BF16])
        {
            yield return new(
                $"prompt attention of {type} tokens", b => PromptAttention(b, 3, 1, 37, 40, 48, 4, 0, type, true), 2);
        }

        yield return new("prompt attention, frozen", b => PromptAttention(b, 2, 1, 19, 24, 32, 4, 0.1f, null, false), 2);
    }

    internal static void PromptAttention(
        OpBench b, int batch, int prompts, int tokens, int visual, int channels, int heads, float rate, ElementType? type, bool trains,
        double spread = 2)
    {
        Tensor x = b.Input("x", [batch, tokens, visual], type: type, spread: spread);
        Tensor q = b.Input("q", [batch, prompts, channels], spread: spread);
        (ParameterBlock key, ParameterBlock value, ParameterBlock valueBias) = (
            b.Parameter("key", [channels, visual], trains), b.Parameter("value", [channels, visual], trains),
            b.Parameter("value bias", [channels], trains));
        Dropout? dropout = rate > 0 ? new Dropout(rate, 11, DropoutState(b)) : null;
        PromptAttentionState saved = new(
            b.Statistic(batch, prompts, heads * visual), b.Statistic(batch, heads, prompts, tokens),
            b.Statistic(batch, prompts, heads * visual), b.Statistic(batch, prompts, heads));
        (Tensor context, Tensor dq, Tensor dx) = (b.Output(q.Shape), b.Output(q.Shape), b.Output(x.Shape));
        Tensor dcontext = b.Input("dcontext", q.Shape);
        b.Run(d => d.PromptAttentionForward(saved, context, q, x, key, value, valueBias, heads, dropout));
        b.Run(d => d.PromptAttentionBackward(dq, dx, dcontext, saved, q, x, key, value, valueBias, heads, dropout));
        b.Result("absorbed", saved.Absorbed);
        b.Result("probabilities", saved.Probabilities);
        b.Result("condensed", saved.Condensed);
        b.Result("sum of probabilities", saved.ProbabilitySum);
        b.Result("context", context);
        b.Result("dq", dq);
        b.Result("dx", dx);

        // Features are frozen as a rule: the same without dx, and then with nothing but parameters.
        Tensor dqAlone = b.Output(q.Shape);
        b.Run(d => d.PromptAttentionBackward(dqAlone, null, dcontext, saved, q, x, key, value, valueBias, heads, dropout));
        b.Result("dq alone", dqAlone);
        if (trains)
        {
            b.Run(d => d.PromptAttentionBackward(null, null, dcontext, saved, q, x, key, value, valueBias, heads, dropout));
            b.Result("dkey", key.Gradient!);
            b.Result("dvalue", value.Gradient!);
            b.Result("dvalue bias", valueBias.Gradient!);
        }
    }
}
