using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class OpScenarios
{
    private const int Ignored = -100;

    private static IEnumerable<OpScenario> Losses()
    {
        foreach (int classes in s_raggedSizes.Append(3129))
        {
            yield return new($"cross-entropy 17x{classes}", b => CrossEntropy(b, 17, classes, 0.1f));
            yield return new($"BCE 9x{classes}", b => BinaryCrossEntropy(b, 9, classes));
        }

        yield return new("cross-entropy 257x1843, no smoothing", b => CrossEntropy(b, 257, 1843, 0));
        yield return new("BCE 256x13", b => BinaryCrossEntropy(b, 256, 13));
    }

    private static void CrossEntropy(OpBench b, int rows, int classes, float smoothing)
    {
        int[] classOf = OpBench.Integers("labels", rows, 0, classes);
        for (int row = 1; row < rows; row += 4)
        {
            classOf[row] = Ignored;
        }

        Tensor labels = b.Input(classOf, rows);
        Tensor logits = b.Input("logits", [rows, classes], spread: 6);
        (Tensor loss, Tensor lossAlone, Tensor lossInPlace) = (b.Statistic(1), b.Statistic(1), b.Statistic(1));
        (Tensor dlogits, Tensor inPlace) = (b.Output([rows, classes]), b.InOut("logits", [rows, classes]));
        b.Run(d => d.SoftmaxCrossEntropy(loss, dlogits, logits, labels, Ignored, smoothing, 0.75f));
        b.Run(d => d.SoftmaxCrossEntropy(lossAlone, null, logits, labels, Ignored, smoothing, 1));
        b.Run(d => d.SoftmaxCrossEntropy(lossInPlace, inPlace, inPlace, labels, Ignored, smoothing, 1));
        (Tensor lossUnscaled, Tensor scaled, Tensor lossScale) = (b.Statistic(1), b.Output([rows, classes]), b.Lasting([1024], 1));
        b.Run(d => d.SoftmaxCrossEntropy(lossUnscaled, scaled, logits, labels, Ignored, smoothing, 0.75f, lossScale));
        b.Result("loss of a scaled gradient", lossUnscaled);
        b.Result("scaled dlogits", scaled);
        b.Result("loss", loss);
        b.Result("loss alone", lossAlone);
        b.Result("loss in place", lossInPlace);
        b.Result("dlogits", dlogits);
        b.Result("dlogits in place", inPlace);
    }

    private static void BinaryCrossEntropy(OpBench b, int rows, int labels)
    {
        Tensor logits = b.Input("logits", [rows, labels], spread: 12);
        Tensor targets = b.Input(b.Random("targets", rows * labels, 0.5, 0.5), [rows, labels]);
        (Tensor loss, Tensor lossAlone) = (b.Statistic(1), b.Statistic(1));
        Tensor dlogits = b.Output([rows, labels]);
        b.Run(d => d.BceWithLogits(loss, dlogits, logits, targets, 0.5f));
        b.Run(d => d.BceWithLogits(lossAlone, null, logits, targets, 1));
        (Tensor lossUnscaled, Tensor scaled, Tensor lossScale) = (b.Statistic(1), b.Output([rows, labels]), b.Lasting([1024], 1));
        b.Run(d => d.BceWithLogits(lossUnscaled, scaled, logits, targets, 0.5f, lossScale));
        b.Result("loss of a scaled gradient", lossUnscaled);
        b.Result("scaled dlogits", scaled);
        b.Result("loss", loss);
        b.Result("loss alone", lossAlone);
        b.Result("dlogits", dlogits);
    }

    private static IEnumerable<OpScenario> Optimizers()
    {
        foreach (bool decoupledFirst in (bool[])[true, false])
        {
            foreach (float maxNorm in (float[])[0, 0.5f, 1e6f])
            {
                string name = $"AdamW, {(decoupledFirst ? "decay first" : "decay last")}, largest norm {maxNorm}";
                yield return new(name, b => Optimize(b, decoupledFirst, maxNorm, lossScale: 1), 4);
                yield return new(name + ", loss scale 64", b => Optimize(b, decoupledFirst, maxNorm, lossScale: 64), 4);
            }
        }

        yield return new("loss scale", LossScale);
    }

    // Every way that the state can go: a good step, growth, growth to the bound; a step that was skipped, and one at the lower bound.
    private static void LossScale(OpBench b)
    {
        LossScaleOptions options = new(Growth: 2, Shrinkage: 0.5f, Interval: 3, Smallest: 1, Largest: 1024);
        (Tensor number, Tensor infinite, Tensor none) =
            (b.Lasting([0.5], 1), b.Lasting([double.PositiveInfinity], 1), b.Lasting([double.NaN], 1));
        foreach ((string name, double[] before) in ((string, double[])[])
            [("beginning", [256, 0, 0]), ("growth", [256, 2, 3]), ("largest", [768, 2, 0]), ("smallest", [1.5, 1, 1])])
        {
            (Tensor good, Tensor overflow, Tensor after) = (b.Lasting(before, 3), b.Lasting(before, 3), b.Lasting(before, 3));
            b.Run(d => d.UpdateLossScale(good, number, options));
            b.Run(d => d.UpdateLossScale(overflow, infinite, options));
            b.Run(d => d.UpdateLossScale(after, none, options));
            b.Run(d => d.UpdateLossScale(after, number, options));
            b.Result($"{name}, good step", good);
            b.Result($"{name}, overflow", overflow);
            b.Result($"{name}, no number, then a good step", after);
        }
    }

    private static void Optimize(OpBench b, bool decoupledFirst, float maxNorm, double lossScale)
    {
        int[] sizes = [1, 5, 31, 64, 257, 4096, 70_001];
        AdamWParameter[] parameters = [.. sizes.Select((size, i) => new AdamWParameter
        {
            Value = b.Lasting(b.Random($"value {i}", size), size),
            Gradient = b.Lasting(b.Random($"gradient {i}", size), size),
            FirstMoment = b.Lasting(b.Random($"first {i}", size), size),
            SecondMoment = b.Lasting(b.Random($"second {i}", size, 0.4, 0.5), size),
            RateMultiplier = i % 2 == 0 ? 1 : 10,
            Decay = i % 3 == 0 ? 0 : 0.2f,
            Active = i != 2,
        })];
        Tensor norm = b.Statistic(1);
        Tensor[] gradients = [.. parameters.Where(p => p.Active).Select(p => p.Gradient)];
        Tensor? scale = lossScale == 1 ? null : b.Lasting([lossScale], 1);
        Tensor? used = maxNorm > 0 || scale is not null ? norm : null;
        b.Run(d => d.GlobalNorm(norm, gradients, scale));
        AdamWOptions options = new(0.9f, 0.98f, 1e-8f, decoupledFirst, maxNorm);
        (Tensor rate, Tensor counts) = (b.Rate(1e-3f), b.Counts([.. sizes.Select((_, i) => i * 50)]));
        (Tensor loss, Tensor noNumber) = (b.Lasting([3.0], 1), b.Lasting([double.NaN], 1));
        b.Run(d => d.AdamW(parameters, options, rate, counts, used, noNumber, scale));
        b.Run(d => d.AdamW(parameters, options, rate, counts, noNumber, loss, scale));
        b.Result("values after a step that was no number", parameters[^1].Value);
        b.Run(d => d.AdamW(parameters, options, rate, counts, used, loss, scale));
        b.Result("norm", norm);
        b.Result("update counts", counts);
        for (int i = 0; i < sizes.Length; i++)
        {
            b.Result($"value {i}", parameters[i].Value);
            b.Result($"first moment {i}", parameters[i].FirstMoment);
            b.Result($"second moment {i}", parameters[i].SecondMoment);
        }
    }
}
