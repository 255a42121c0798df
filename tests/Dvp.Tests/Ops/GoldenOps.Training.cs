using System.Globalization;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class GoldenOps
{
    /// <summary>The loss at scale 1, the gradient at the scale of the arriving gradient.</summary>
    private static void CrossEntropy(GoldenCase c)
    {
        Tensor logits = c.Input("logits");
        Tensor labels = c.Integers("targets", c.Shape("targets"));
        (Tensor loss, Tensor scaled, Tensor dlogits) = (c.Bench.Statistic(1), c.Bench.Statistic(1), c.OutputLike("logits"));
        float smoothing = c.Single("label_smoothing");
        int ignore = c.Int32("ignore_index");
        c.Device.SoftmaxCrossEntropy(loss, null, logits, labels, ignore, smoothing, 1);
        c.Device.SoftmaxCrossEntropy(scaled, dlogits, logits, labels, ignore, smoothing, (float)c.Values("loss_gradient")[0]);
        c.Result("loss", loss);
        c.Result("gradients.logits", dlogits);
    }

    private static void BinaryCrossEntropy(GoldenCase c)
    {
        (Tensor logits, Tensor targets) = (c.Input("logits"), c.Input("targets"));
        (Tensor loss, Tensor scaled, Tensor dlogits) = (c.Bench.Statistic(1), c.Bench.Statistic(1), c.OutputLike("logits"));
        c.Device.BceWithLogits(loss, null, logits, targets, 1);
        c.Device.BceWithLogits(scaled, dlogits, logits, targets, (float)c.Values("loss_gradient")[0]);
        c.Result("loss", loss);
        c.Result("gradients.logits", dlogits);
    }

    private static void AdamW(GoldenCase c)
    {
        int count = c.Values("parameter").Length;
        float[] rates = [.. c.Attribute("learning_rates").EnumerateArray().Select(r => r.GetSingle())];
        (float beta1, float beta2) = (c.Attribute("betas")[0].GetSingle(), c.Attribute("betas")[1].GetSingle());
        Tensor value = c.Bench.Lasting(c.Values("parameter"), count);
        (Tensor m, Tensor v) = (c.Bench.Lasting(new double[count], count), c.Bench.Lasting(new double[count], count));
        Tensor counts = c.Bench.Counts(0);
        for (int step = 1; step <= c.Int32("steps"); step++)
        {
            string number = step.ToString(CultureInfo.InvariantCulture);
            AdamWParameter parameter = new()
            {
                Value = value,
                Gradient = c.Bench.Lasting(c.Values($"gradient.{number}"), count),
                FirstMoment = m,
                SecondMoment = v,
                Decay = c.Single("weight_decay"),
            };
            Tensor rate = c.Bench.Rate(rates[step - 1]);
            AdamWOptions options = new(beta1, beta2, c.Single("eps"), DecoupledFirst: true, 0);
            c.Device.AdamW([parameter], options, rate, counts, norm: null, loss: null);
            c.Result($"parameter.{number}", value);
            c.Result($"first_moment.{number}", m);
            c.Result($"second_moment.{number}", v);
        }
    }

    /// <summary>
    /// With both betas 0 the first moment is the clipped gradient; a gradient of 1 that the norm leaves out becomes the coefficient.
    /// </summary>
    private static void ClipGlobalNorm(GoldenCase c)
    {
        string[] names = [.. c.InputNames.Order(StringComparer.Ordinal)];
        Tensor[] gradients = [.. names.Select(n => c.Bench.Lasting(c.Values(n), c.Values(n).Length))];
        Tensor norm = c.Bench.Statistic(1);
        c.Device.GlobalNorm(norm, gradients);
        c.Result("norm", norm);
        AdamWParameter[] parameters = [.. gradients.Append(c.Bench.Lasting([1.0], 1)).Select(g => new AdamWParameter
        {
            Value = c.Bench.Lasting(new double[g.Count], (int)g.Count),
            Gradient = g,
            FirstMoment = c.Bench.Lasting(new double[g.Count], (int)g.Count),
            SecondMoment = c.Bench.Lasting(new double[g.Count], (int)g.Count),
        })];
        Tensor rate = c.Bench.Rate(1e-3f);
        Tensor counts = c.Bench.Counts(new int[parameters.Length]);
        AdamWOptions options = new(0, 0, 1e-8f, DecoupledFirst: true, c.Single("max_norm"));
        c.Device.AdamW(parameters, options, rate, counts, norm, loss: null);
        for (int i = 0; i < names.Length; i++)
        {
            c.Result(names[i].Replace("gradient", "clipped", StringComparison.Ordinal), parameters[i].FirstMoment);
        }

        c.Result("coefficient", parameters[^1].FirstMoment);
    }
}
