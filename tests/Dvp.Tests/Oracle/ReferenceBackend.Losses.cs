using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <inheritdoc/>
    public override void SoftmaxCrossEntropy(
        Tensor loss, Tensor? dlogits, Tensor logits, Tensor labels, int ignore, float smoothing, float scale, Tensor? lossScale = null)
    {
        Launched();
        (int rows, int classes) = (logits.Rows, logits.Columns);
        Require(labels.Count == rows, $"Labels {labels} do not fit {logits}.");
        double[] z = Load(logits);
        int[] label = Integers(labels);
        int counted = label.Count(l => l != ignore);
        double total = 0;
        double factor = scale * Factor(lossScale);
        double[] gradient = new double[z.Length];
        for (int n = 0; n < rows; n++)
        {
            if (label[n] == ignore)
            {
                continue;
            }

            Require(label[n] >= 0 && label[n] < classes, $"There is no class {label[n]}.");
            Span<double> row = z.AsSpan(n * classes, classes);
            double max = double.NegativeInfinity;
            foreach (double value in row)
            {
                max = Math.Max(max, value);
            }

            double sum = 0;
            foreach (double value in row)
            {
                sum += Math.Exp(value - max);
            }

            for (int c = 0; c < classes; c++)
            {
                double logProbability = row[c] - max - Math.Log(sum);
                double target = (smoothing / (double)classes) + (c == label[n] ? 1 - (double)smoothing : 0);
                total -= target * logProbability;
                gradient[(n * classes) + c] = factor * (Math.Exp(logProbability) - target) / counted;
            }
        }

        Store(loss, [counted == 0 ? 0 : scale * total / counted]);
        StoreIfWanted(dlogits, gradient, accumulate: false);
    }

    /// <inheritdoc/>
    public override void BceWithLogits(Tensor loss, Tensor? dlogits, Tensor logits, Tensor targets, float scale, Tensor? lossScale = null)
    {
        Launched();
        RequireSame(logits, targets);
        double[] z = Load(logits);
        double[] y = Load(targets);
        double total = 0;
        double factor = scale * Factor(lossScale);
        double[] gradient = new double[z.Length];
        for (int i = 0; i < z.Length; i++)
        {
            total += Scalar.SoftPlus(z[i]) - (z[i] * y[i]);
            gradient[i] = factor * (Scalar.Sigmoid(z[i]) - y[i]) / logits.Rows;
        }

        Store(loss, [scale * total / logits.Rows]);
        StoreIfWanted(dlogits, gradient, accumulate: false);
    }

    private static double Factor(Tensor? lossScale)
    {
        Require(lossScale is null || lossScale.Count == 1, $"{lossScale} is no loss scale.");
        return lossScale is null ? 1 : Load(lossScale)[0];
    }
}
