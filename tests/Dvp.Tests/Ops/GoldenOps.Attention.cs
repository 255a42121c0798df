using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class GoldenOps
{
    private static void Attention(GoldenCase c)
    {
        (int[] queryShape, int[] keyShape) = (c.Shape("q"), c.Shape("k"));
        (int batch, int queries, int heads, int size) = (queryShape[0], queryShape[1], queryShape[2], queryShape[3]);
        (int keys, int keyHeads) = (keyShape[1], keyShape[2]);
        int[] asQuery = [batch, queries, heads * size];
        int[] asKey = [batch, keys, keyHeads * size];
        Tensor q = c.Input("q", asQuery);
        Tensor k = c.Input("k", asKey);
        Tensor v = c.Input("v", asKey);
        Tensor? bias = c.Optional("bias", heads, queries, keys);
        AttentionOptions options = new(
            heads, keyHeads, c.Single("scale"), c.Attribute("causal").GetBoolean(),
            c.Has("key_mask") ? c.Integers("key_mask", batch, keys) : null,
            c.Has("key_lengths") ? c.Integers("key_lengths", batch) : null,
            bias,
            c.Has("keep_mask") ? new Dropout(0.5f, 0, null, c.Input("keep_mask", batch, heads, queries, keys)) : null);
        Tensor saved = c.Bench.Statistic(c.Device.AttentionSavedElements(batch, heads, queries, keys));
        Tensor context = c.Bench.Output(asQuery);
        c.Device.AttentionForward(context, saved, q, k, v, options);
        c.Result("output", context);

        (Tensor dq, Tensor dk, Tensor dv) = (c.Bench.Output(asQuery), c.Bench.Output(asKey), c.Bench.Output(asKey));
        Tensor? dbias = bias is null ? null : c.Bench.InOut(new double[bias.Count], bias.Shape);
        c.Device.AttentionBackward(dq, dk, dv, dbias, c.Input("output_gradient", asQuery), context, saved, q, k, v, options);
        c.Result("gradients.q", dq);
        c.Result("gradients.k", dk);
        c.Result("gradients.v", dv);
        if (dbias is not null)
        {
            c.Result("gradients.bias", dbias);
        }
    }

    /// <summary>
    /// Softmax as an attention whose scores are the bias and whose values are columns of the unit matrix, some columns at a time: the
    /// context
    /// is the probabilities, and the gradient of the bias that of the softmax.
    /// </summary>
    private static void Softmax(GoldenCase c)
    {
        const int Columns = 64;
        (int rows, int classes) = (c.Shape("x")[0], c.Shape("x")[1]);
        double[] arriving = c.Values("output_gradient");
        double[] output = new double[rows * classes];
        Tensor dbias = c.Bench.InOut(new double[rows * classes], [1, rows, classes]);
        AttentionOptions options = new(1, 1, 1, Bias: c.Input("x", 1, rows, classes));
        for (int first = 0; first < classes; first += Columns)
        {
            double[] unit = new double[classes * Columns];
            double[] dcontext = new double[rows * Columns];
            for (int i = 0; i < Columns && first + i < classes; i++)
            {
                unit[((first + i) * Columns) + i] = 1;
                for (int row = 0; row < rows; row++)
                {
                    dcontext[(row * Columns) + i] = arriving[(row * classes) + first + i];
                }
            }

            Tensor q = c.Bench.Input(new double[rows * Columns], [1, rows, Columns]);
            Tensor k = c.Bench.Input(new double[classes * Columns], [1, classes, Columns]);
            Tensor v = c.Bench.Input(unit, [1, classes, Columns]);
            Tensor saved = c.Bench.Statistic(c.Device.AttentionSavedElements(1, 1, rows, classes));
            Tensor context = c.Bench.Output([1, rows, Columns]);
            c.Device.AttentionForward(context, saved, q, k, v, options);
            c.Device.AttentionBackward(
                null, null, null, dbias, c.Bench.Input(dcontext, [1, rows, Columns]), context, saved, q, k, v, options);
            double[] values = c.Bench.Values(context);
            for (int i = 0; i < Columns && first + i < classes; i++)
            {
                for (int row = 0; row < rows; row++)
                {
                    output[(row * classes) + first + i] = values[(row * Columns) + i];
                }
            }
        }

        c.Result("output", output);
        c.Result("gradients.x", dbias);
    }

    private static void PromptAttention(GoldenCase c)
    {
        int heads = c.Int32("heads");
        (Tensor x, Tensor query) = (c.Input("x"), c.Input("query"));
        (int batch, int tokens, int visual, int prompts) = (x.Extent(0), x.Extent(1), x.Extent(2), query.Extent(1));
        (ParameterBlock qWeight, ParameterBlock qBias) = (c.Parameter("linear_q.weight"), c.Parameter("linear_q.bias"));
        ParameterBlock kWeight = c.Parameter("linear_k.weight");
        (ParameterBlock vWeight, ParameterBlock vBias) = (c.Parameter("linear_v.weight"), c.Parameter("linear_v.bias"));
        (ParameterBlock mergeWeight, ParameterBlock mergeBias) = (c.Parameter("linear_merge.weight"), c.Parameter("linear_merge.bias"));
        int[] projected = [batch, prompts, qWeight.Value.Rows];
        Dropout? dropout = c.Has("keep_mask") ? new Dropout(0.5f, 0, null, c.Input("keep_mask")) : null;
        PromptAttentionState saved = new(
            c.Bench.Statistic(batch, prompts, heads * visual), c.Bench.Statistic(batch, heads, prompts, tokens),
            c.Bench.Statistic(batch, prompts, heads * visual), c.Bench.Statistic(batch, prompts, heads));
        (Tensor q, Tensor context, Tensor y) = (c.Bench.Output(projected), c.Bench.Output(projected), c.OutputLike("output_gradient"));
        c.Device.LinearForward(q, null, query, qWeight, qBias, Activation.None, null);
        c.Device.PromptAttentionForward(saved, context, q, x, kWeight, vWeight, vBias, heads, dropout);
        c.Device.LinearForward(y, null, context, mergeWeight, mergeBias, Activation.None, null);
        c.Result("probabilities", saved.Probabilities);
        c.Result("context", context);
        c.Result("output", y);

        Tensor dy = c.Input("output_gradient");
        (Tensor dcontext, Tensor dq, Tensor dx, Tensor dquery) =
            (c.Bench.Output(projected), c.Bench.Output(projected), c.OutputLike("x"), c.OutputLike("query"));
        c.Device.LinearBackwardParameters(mergeWeight.Gradient!, mergeBias.Gradient, dy, context);
        c.Device.LinearBackwardInput(dcontext, dy, mergeWeight, accumulate: false);
        c.Device.PromptAttentionBackward(dq, dx, dcontext, saved, q, x, kWeight, vWeight, vBias, heads, dropout);
        c.Device.LinearBackwardParameters(qWeight.Gradient!, qBias.Gradient, dq, query);
        c.Device.LinearBackwardInput(dquery, dq, qWeight, accumulate: false);
        c.Result("gradients.x", dx);
        c.Result("gradients.query", dquery);
        c.Gradient("linear_q.weight", qWeight);
        c.Gradient("linear_q.bias", qBias);
        c.Gradient("linear_k.weight", kWeight);
        c.Gradient("linear_v.weight", vWeight);
        c.Gradient("linear_v.bias", vBias);
        c.Gradient("linear_merge.weight", mergeWeight);
        c.Gradient("linear_merge.bias", mergeBias);

        // The key bias cancels in the softmax: the contract has no gradient for it, which says zero.
        c.Result("gradients.linear_k.bias", new double[c.Shape("linear_k.bias")[0]]);
    }
}
