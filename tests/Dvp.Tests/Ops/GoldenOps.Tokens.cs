using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class GoldenOps
{
    private static void Embedding(GoldenCase c)
    {
        ParameterBlock weight = c.Parameter("weight");
        Tensor ids = c.Integers("ids", c.Shape("ids"));
        int padding = c.HasAttribute("padding_index") ? c.Int32("padding_index") : -1;
        Tensor y = c.OutputLike("output_gradient");
        c.Device.EmbeddingForward(y, ids, weight, null, null, null);
        c.Result("output", y);
        Tensor dy = c.Input("output_gradient");
        c.Device.EmbeddingBackward(weight.Gradient, null, null, dy, ids, null, padding);
        c.Gradient("weight", weight);
        if (c.Has("weight_gradient_before"))
        {
            Tensor gradient = c.Bench.Lasting(c.Values("weight_gradient_before"), c.Shape("weight"));
            c.Device.EmbeddingBackward(gradient, null, null, dy, ids, null, padding);
            c.Result("gradients.weight_accumulated", gradient);
        }
    }

    private static void InsertPrompt(GoldenCase c)
    {
        (Tensor prompt, Tensor text) = (c.Input("prompt"), c.Input("text"));
        ParameterBlock? types = c.OptionalParameter("type_embedding");
        Tensor y = c.OutputLike("output_gradient");
        c.Device.InsertPromptForward(y, prompt, text, types);
        c.Result("output", y);
        (Tensor dprompt, Tensor dtext) = (c.OutputLike("prompt"), c.OutputLike("text"));
        c.Device.InsertPromptBackward(dprompt, dtext, types?.Gradient, c.Input("output_gradient"), accumulateText: false);
        c.Result("gradients.prompt", dprompt);
        c.Result("gradients.text", dtext);
        if (types is not null)
        {
            c.Gradient("type_embedding", types);
        }
    }

    private static void MeanTokens(GoldenCase c)
    {
        (Tensor y, Tensor dx) = (c.OutputLike("output_gradient"), c.OutputLike("x"));
        c.Device.MeanTokensForward(y, c.Input("x"));
        c.Device.MeanTokensBackward(dx, c.Input("output_gradient"), accumulate: false);
        c.Result("output", y);
        c.Result("gradients.x", dx);
    }

    private static void PatchEmbedding(GoldenCase c)
    {
        int patch = c.Int32("patch");
        int[] image = c.Shape("images");
        (int batch, int size) = (image[0], image[1] * patch * patch);
        int count = image[2] / patch * (image[3] / patch);
        int channels = c.Shape("weight")[0];
        ParameterBlock weight = c.Parameter("weight", channels, size);
        Tensor patches = c.Bench.Output([batch, count, size]);
        Tensor y = c.OutputLike("output_gradient");
        c.Device.ExtractPatches(patches, c.Input("images"), patch);
        c.Device.LinearForward(y, null, patches, weight, null, Activation.None, null);
        c.Result("output", y);
        c.Device.LinearBackwardParameters(weight.Gradient!, null, c.Input("output_gradient"), patches);
        c.Gradient("weight", weight);
    }

    private static void Rotary(GoldenCase c)
    {
        int[] shape = c.Shape("x");
        (int batch, int tokens, int heads, int size) = (shape[0], shape[1], shape[2], shape[3]);
        int[] folded = [batch, tokens, heads * size];
        Tensor positions = c.Integers("positions", batch, tokens);
        (Tensor y, Tensor dx) = (c.Bench.Output(folded), c.Bench.Output(folded));
        c.Device.Rotary(y, c.Input("x", folded), positions, heads, c.Single("theta"), 1);
        c.Device.Rotary(dx, c.Input("output_gradient", folded), positions, heads, c.Single("theta"), -1);
        c.Result("output", y);
        c.Result("gradients.x", dx);

        // The pair (1, 0) turns to (cos, sin).
        double[] units = new double[batch * tokens * size];
        for (int i = 0; i < units.Length; i++)
        {
            units[i] = i % size < size / 2 ? 1 : 0;
        }

        Tensor turned = c.Bench.Output([batch, tokens, size]);
        c.Device.Rotary(turned, c.Bench.Input(units, [batch, tokens, size]), positions, 1, c.Single("theta"), 1);
        double[] values = c.Bench.Values(turned);
        c.Result("cos", Halves(values, 0));
        c.Result("sin", Halves(values, size / 2));

        // As many columns as the golden tensor has: the half, or the half twice.
        double[] Halves(double[] all, int from)
        {
            int columns = c.ExpectedShape("cos")[^1];
            double[] half = new double[batch * tokens * columns];
            for (int i = 0; i < half.Length; i++)
            {
                half[i] = all[(i / columns * size) + from + (i % columns % (size / 2))];
            }

            return half;
        }
    }

    private static void RelativeBias(GoldenCase c)
    {
        (bool bidirectional, int maxDistance) = (c.Attribute("bidirectional").GetBoolean(), c.Int32("max_distance"));
        int[] shape = [c.Shape("weight")[1], c.Int32("query_length"), c.Int32("key_length")];
        ParameterBlock weight = c.Parameter("weight");
        Tensor bias = c.Bench.Output(shape);
        c.Device.RelativeBiasForward(bias, weight, bidirectional, maxDistance);
        c.Device.RelativeBiasBackward(weight.Gradient!, c.Input("bias_gradient", shape), bidirectional, maxDistance);
        c.Result("bias", bias);
        c.Gradient("weight", weight);
    }

    /// <summary>A weight that holds the number of its bucket turns the bias into buckets.</summary>
    private static void RelativeBuckets(GoldenCase c)
    {
        int buckets = c.Int32("num_buckets");
        ParameterBlock weight = c.Bench.Parameter([.. Enumerable.Range(0, buckets).Select(b => (double)b)], [buckets, 1]);
        long[] Buckets(int queries, int keys)
        {
            Tensor bias = c.Bench.Output([1, queries, keys]);
            c.Device.RelativeBiasForward(bias, weight, c.Attribute("bidirectional").GetBoolean(), c.Int32("max_distance"));
            return Array.ConvertAll(c.Bench.Values(bias), b => (long)b);
        }

        c.Result("buckets", Buckets(c.Int32("query_length"), c.Int32("key_length")));

        // Key - query goes from -400 (last query, first key) to 400 (first query, last key).
        const int Farthest = 400;
        long[] all = Buckets(Farthest + 1, Farthest + 1);
        c.Result("buckets_by_distance", [.. Enumerable.Range(-Farthest, (2 * Farthest) + 1)
            .Select(d => all[(Math.Max(-d, 0) * (Farthest + 1)) + Math.Max(d, 0)])]);
    }
}
