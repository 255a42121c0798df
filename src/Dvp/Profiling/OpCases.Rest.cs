using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Profiling;

// What stands between the products: tokens, residual additions, losses, the optimiser; and the norms and gates of T5 and LLaMA.
internal static partial class OpCases
{
    private const int Patch = 16;
    private const int Buckets = 32; // T5's

    private static IEnumerable<OpCase> Rest(int batch, OpSizes s, int element)
    {
        int rows = batch * (s.TextTokens + 1), c = s.Channels;
        yield return EmbeddingBackward(batch, s, element);
        yield return InsertPromptForward(batch, s, element);
        yield return InsertPromptBackward(batch, s, element);
        yield return Fill(rows, c, element);
        yield return Copy(rows, c, element);
        yield return AddTo(rows, c, element);
        yield return DropoutApply(rows, c, element);
        yield return SoftmaxCrossEntropy(batch, s.Answers, element);
        yield return RmsNormForward(rows, c, element);
        yield return RmsNormBackward(rows, c, element);
        yield return RmsNormBackwardParameters(rows, c, element);
        yield return GatedForward(rows, s.FeedForward, element);
        yield return GatedBackward(rows, s.FeedForward, element);
        yield return ActivationForward(rows, s.FeedForward, element);
        yield return ActivationBackward(rows, s.FeedForward, element);
        yield return Rotary(batch, s.TextTokens + 1, s.Heads, c / s.Heads, element);
        yield return MeanTokensForward(batch, s, element);
        yield return MeanTokensBackward(batch, s, element);
    }

    /// <summary>The input of the visual encoder, T5's bias of positions, and the optimiser.</summary>
    private static IEnumerable<OpCase> Once(OpSizes s, int element)
    {
        yield return ExtractPatches(s, element);
        yield return VisionTokens(s, element);
        yield return RelativeBiasForward(s, element);
        yield return RelativeBiasBackward(s);
        yield return GlobalNorm(s);
        yield return AdamW(s);
    }

    private static OpCase EmbeddingBackward(int batch, OpSizes s, int element) => Make(
        "embedding_backward",
        [new("batch", batch), new("tokens", s.TextTokens), new("channels", s.Channels), new("vocabulary", s.Vocabulary)],
        Area(batch * s.TextTokens, s.Channels),
        (element + 8) * Area(batch * s.TextTokens, s.Channels), // the rows that were read are read, added to and written
        o =>
        {
            (Tensor dwords, Tensor dy) = (o.Sums(s.Vocabulary, s.Channels), o.Activations(batch, s.TextTokens, s.Channels));
            Tensor ids = o.Integers(s.Vocabulary, batch, s.TextTokens);
            return () => o.Backend.EmbeddingBackward(dwords, null, null, dy, ids, null, paddingIndex: -1);
        });

    private static OpCase InsertPromptForward(int batch, OpSizes s, int element) => Make(
        "insert_prompt_forward", TokenSizes(batch, s), Area(batch * (s.TextTokens + 1), s.Channels), 2 * element * Area(batch * (s.TextTokens + 1), s.Channels), o =>
        {
            (Tensor prompt, Tensor text) = (o.Activations(batch, 1, s.Channels), o.Activations(batch, s.TextTokens, s.Channels));
            (Tensor y, ParameterBlock types) = (o.Activations(batch, s.TextTokens + 1, s.Channels), o.Parameter(true, 2, s.Channels));
            return () => o.Backend.InsertPromptForward(y, prompt, text, types);
        });

    private static OpCase InsertPromptBackward(int batch, OpSizes s, int element) => Make(
        "insert_prompt_backward", TokenSizes(batch, s), Area(batch * (s.TextTokens + 1), s.Channels), 2 * element * Area(batch * (s.TextTokens + 1), s.Channels), o =>
        {
            (Tensor dprompt, Tensor dtext) = (o.Activations(batch, 1, s.Channels), o.Activations(batch, s.TextTokens, s.Channels));
            (Tensor dy, Tensor dtypes) = (o.Activations(batch, s.TextTokens + 1, s.Channels), o.Sums(2, s.Channels));
            return () => o.Backend.InsertPromptBackward(dprompt, dtext, dtypes, dy, accumulateText: false);
        });

    private static OpSize[] TokenSizes(int batch, OpSizes s) => [new("batch", batch), new("tokens", s.TextTokens), new("channels", s.Channels)];

    private static OpCase Fill(int rows, int channels, int element) => Make(
        "fill", [new("rows", rows), new("channels", channels)], 0, element * Area(rows, channels), o =>
        {
            Tensor y = o.Activations(rows, channels);
            return () => o.Backend.Fill(y, 0);
        });

    private static OpCase Copy(int rows, int channels, int element) => Make(
        "copy", [new("rows", rows), new("channels", channels)], 0, 2 * element * Area(rows, channels), o =>
        {
            (Tensor y, Tensor x) = (o.Activations(rows, channels), o.Activations(rows, channels));
            return () => o.Backend.Copy(y, x);
        });

    private static OpCase AddTo(int rows, int channels, int element) => Make(
        "add", [new("rows", rows), new("channels", channels)], Area(rows, channels), 3 * element * Area(rows, channels), o =>
        {
            (Tensor y, Tensor x) = (o.Activations(rows, channels), o.Activations(rows, channels));
            return () => o.Backend.Add(y, x);
        });

    private static OpCase DropoutApply(int rows, int channels, int element) => Make(
        "dropout", [new("rows", rows), new("channels", channels)], Area(rows, channels), 2 * element * Area(rows, channels), o =>
        {
            (Tensor y, Tensor x) = (o.Activations(rows, channels), o.Activations(rows, channels));
            Dropout dropout = new(Rate: 0.1f, Site: 1, o.Integers(100, 4));
            return () => o.Backend.DropoutApply(y, x, dropout, accumulate: false);
        });

    private static OpCase SoftmaxCrossEntropy(int rows, int classes, int element) => Make(
        "softmax_cross_entropy", [new("rows", rows), new("classes", classes)], 6 * Area(rows, classes), 2 * element * Area(rows, classes), o =>
        {
            (Tensor loss, Tensor dlogits, Tensor logits) = (o.Sums(1), o.Activations(rows, classes), o.Activations(rows, classes));
            Tensor labels = o.Integers(classes, rows);
            return () => o.Backend.SoftmaxCrossEntropy(loss, dlogits, logits, labels, ignore: -100, smoothing: 0, scale: 1);
        });

    private static OpCase RmsNormForward(int rows, int channels, int element) => Make(
        "rmsnorm_forward", [new("rows", rows), new("channels", channels)], 5 * Area(rows, channels), 4 * element * Area(rows, channels), o =>
        {
            (Tensor y, Tensor x, Tensor residual) = (o.Activations(rows, channels), o.Activations(rows, channels), o.Activations(rows, channels));
            (NormState saved, ParameterBlock gamma) = (RmsNorm(o, rows, channels), o.Parameter(false, channels));
            return () => o.Backend.RmsNormForward(saved, y, x, residual, gamma, 1e-6f);
        });

    private static OpCase RmsNormBackward(int rows, int channels, int element) => Make(
        "rmsnorm_backward", [new("rows", rows), new("channels", channels)], 8 * Area(rows, channels), 3 * element * Area(rows, channels), o =>
        {
            (Tensor ds, Tensor dy) = (o.Activations(rows, channels), o.Activations(rows, channels));
            (NormState saved, ParameterBlock gamma) = (RmsNorm(o, rows, channels), o.Parameter(false, channels));
            return () => o.Backend.RmsNormBackward(ds, dy, saved, gamma, accumulate: false);
        });

    private static OpCase RmsNormBackwardParameters(int rows, int channels, int element) => Make(
        "rmsnorm_backward_parameters", [new("rows", rows), new("channels", channels)], 3 * Area(rows, channels), 2 * element * Area(rows, channels), o =>
        {
            (Tensor dgamma, Tensor dy, NormState saved) = (o.Sums(channels), o.Activations(rows, channels), RmsNorm(o, rows, channels));
            return () => o.Backend.RmsNormBackwardParameters(dgamma, dy, saved);
        });

    private static NormState RmsNorm(OpOperands o, int rows, int channels) => new(o.Activations(rows, channels), null, o.Sums(rows));

    private static OpCase GatedForward(int rows, int channels, int element) => Make(
        "gated_forward", [new("rows", rows), new("channels", channels)], 8 * Area(rows, channels), 3 * element * Area(rows, channels), o =>
        {
            (Tensor y, Tensor gate, Tensor up) = (o.Activations(rows, channels), o.Activations(rows, channels), o.Activations(rows, channels));
            return () => o.Backend.GatedForward(y, gate, up, Activation.Silu);
        });

    private static OpCase GatedBackward(int rows, int channels, int element) => Make(
        "gated_backward", [new("rows", rows), new("channels", channels)], 14 * Area(rows, channels), 5 * element * Area(rows, channels), o =>
        {
            (Tensor dgate, Tensor dup, Tensor dy) = (o.Activations(rows, channels), o.Activations(rows, channels), o.Activations(rows, channels));
            (Tensor gate, Tensor up) = (o.Activations(rows, channels), o.Activations(rows, channels));
            return () => o.Backend.GatedBackward(dgate, dup, dy, gate, up, Activation.Silu);
        });

    private static OpCase ActivationForward(int rows, int channels, int element) => Make(
        "activation_forward", [new("rows", rows), new("channels", channels)], 8 * Area(rows, channels), 2 * element * Area(rows, channels), o =>
        {
            (Tensor y, Tensor x) = (o.Activations(rows, channels), o.Activations(rows, channels));
            return () => o.Backend.ActivationForward(y, x, Activation.GeluErf);
        });

    private static OpCase ActivationBackward(int rows, int channels, int element) => Make(
        "activation_backward", [new("rows", rows), new("channels", channels)], 12 * Area(rows, channels), 3 * element * Area(rows, channels), o =>
        {
            (Tensor dx, Tensor dy, Tensor before) = (o.Activations(rows, channels), o.Activations(rows, channels), o.Activations(rows, channels));
            return () => o.Backend.ActivationBackward(dx, dy, before, Activation.GeluErf);
        });

    private static OpCase Rotary(int batch, int tokens, int heads, int size, int element) => Make(
        "rotary",
        [new("batch", batch), new("tokens", tokens), new("heads", heads), new("size", size)],
        3 * Area(batch * tokens, heads * size),
        2 * element * Area(batch * tokens, heads * size),
        o =>
        {
            (Tensor y, Tensor x) = (o.Activations(batch, tokens, heads * size), o.Activations(batch, tokens, heads * size));
            Tensor positions = o.Integers(tokens, batch, tokens);
            return () => o.Backend.Rotary(y, x, positions, heads, theta: 10000, direction: 1);
        });

    private static OpCase MeanTokensForward(int batch, OpSizes s, int element) => Make(
        "mean_tokens_forward", TokenSizes(batch, s), Area(batch * s.TextTokens, s.Channels), element * Area(batch * (s.TextTokens + 1), s.Channels), o =>
        {
            (Tensor y, Tensor x) = (o.Activations(batch, s.Channels), o.Activations(batch, s.TextTokens, s.Channels));
            return () => o.Backend.MeanTokensForward(y, x);
        });

    private static OpCase MeanTokensBackward(int batch, OpSizes s, int element) => Make(
        "mean_tokens_backward", TokenSizes(batch, s), Area(batch * s.TextTokens, s.Channels), element * Area(batch * (s.TextTokens + 1), s.Channels), o =>
        {
            (Tensor dx, Tensor dy) = (o.Activations(batch, s.TextTokens, s.Channels), o.Activations(batch, s.Channels));
            return () => o.Backend.MeanTokensBackward(dx, dy, accumulate: false);
        });

    private static OpCase ExtractPatches(OpSizes s, int element)
    {
        int across = (int)Math.Sqrt(s.VisualTokens - 1), size = across * Patch, columns = 3 * Patch * Patch;
        return Make(
            "extract_patches",
            [new("batch", s.EncoderBatch), new("size", size), new("patch", Patch)],
            0,
            2 * element * Area(s.EncoderBatch * across * across, columns),
            o =>
            {
                (Tensor patches, Tensor pixels) =
                    (o.Activations(s.EncoderBatch, across * across, columns), o.Activations(s.EncoderBatch, 3, size, size));
                return () => o.Backend.ExtractPatches(patches, pixels, Patch);
            });
    }

    private static OpCase VisionTokens(OpSizes s, int element) => Make(
        "vision_tokens_forward",
        [new("batch", s.EncoderBatch), new("tokens", s.VisualTokens), new("channels", s.VisualChannels)],
        Area(s.EncoderBatch * s.VisualTokens, s.VisualChannels),
        2 * element * Area(s.EncoderBatch * s.VisualTokens, s.VisualChannels),
        o =>
        {
            (Tensor y, Tensor patches) =
                (o.Activations(s.EncoderBatch, s.VisualTokens, s.VisualChannels), o.Activations(s.EncoderBatch, s.VisualTokens - 1, s.VisualChannels));
            (ParameterBlock first, ParameterBlock positions) = (o.Parameter(false, s.VisualChannels), o.Parameter(false, s.VisualTokens, s.VisualChannels));
            return () => o.Backend.VisionTokensForward(y, patches, first, positions);
        });

    private static OpSize[] BiasSizes(OpSizes s) => [new("heads", s.Heads), new("queries", s.VisualTokens), new("keys", s.VisualTokens), new("buckets", Buckets)];

    private static OpCase RelativeBiasForward(OpSizes s, int element) => Make(
        "relative_bias_forward", BiasSizes(s), 0, element * Area(s.Heads * s.VisualTokens, s.VisualTokens), o =>
        {
            (Tensor bias, ParameterBlock weight) = (o.Activations(s.Heads, s.VisualTokens, s.VisualTokens), o.Parameter(false, Buckets, s.Heads));
            return () => o.Backend.RelativeBiasForward(bias, weight, bidirectional: true, maxDistance: 128);
        });

    private static OpCase RelativeBiasBackward(OpSizes s) => Make(
        "relative_bias_backward", BiasSizes(s), Area(s.Heads * s.VisualTokens, s.VisualTokens), 4 * Area(s.Heads * s.VisualTokens, s.VisualTokens), o =>
        {
            (Tensor dweight, Tensor dbias) = (o.Sums(Buckets, s.Heads), o.Sums(s.Heads, s.VisualTokens, s.VisualTokens));
            return () => o.Backend.RelativeBiasBackward(dweight, dbias, bidirectional: true, maxDistance: 128);
        });

    // Every tensor that adapter training updates: prompt attention, twelve layers of two adapters, the answers.
    private static int[] Trained(OpSizes s)
    {
        List<int> sizes = [2 * s.Channels * s.Channels, 2 * s.Channels * s.VisualChannels, 4 * s.Channels, 3 * s.Channels, s.Answers * 2 * s.Channels, s.Answers];
        for (int adapter = 0; adapter < 2 * 12; adapter++)
        {
            sizes.AddRange([s.Adapter * s.Channels, s.Adapter, s.Channels * s.Adapter, s.Channels, s.Channels, s.Channels]); // and the norm that follows
        }

        return [.. sizes];
    }

    private static OpCase GlobalNorm(OpSizes s)
    {
        int[] sizes = Trained(s);
        double elements = sizes.Sum(n => (double)n);
        return Make("global_norm", [new("tensors", sizes.Length), new("elements", (int)elements)], 2 * elements, 4 * elements, o =>
        {
            (Tensor norm, Tensor[] gradients) = (o.Sums(1), [.. sizes.Select(n => o.Sums(n))]);
            return () => o.Backend.GlobalNorm(norm, gradients);
        });
    }

    // Value, gradient and both moments are read; all but the gradient are written.
    private static OpCase AdamW(OpSizes s)
    {
        int[] sizes = Trained(s);
        double elements = sizes.Sum(n => (double)n);
        return Make("adamw", [new("tensors", sizes.Length), new("elements", (int)elements)], 14 * elements, 28 * elements, o =>
        {
            AdamWParameter[] parameters = [.. sizes.Select(n => new AdamWParameter
            {
                Value = o.Sums(n),
                Gradient = o.Sums(n),
                FirstMoment = o.Sums(n),
                SecondMoment = o.Squares(n),
                Decay = 0.01f,
            })];
            AdamWOptions options = new(Beta1: 0.9f, Beta2: 0.98f, Epsilon: 1e-8f, DecoupledFirst: false, MaxNorm: 0);
            (Tensor rate, Tensor counts) = (o.Sums(1), o.Integers(1, sizes.Length));
            o.Backend.Fill(rate, 1e-6f);
            return () => o.Backend.AdamW(parameters, options, rate, counts, norm: null, loss: null);
        });
    }
}
