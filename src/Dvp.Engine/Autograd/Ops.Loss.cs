using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

public static partial class Ops
{
    /// <summary>Mean cross-entropy against class labels, loss and gradient in one operator.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="logits">(N, classes)</param>
    /// <param name="labels">I32 (N)</param>
    /// <param name="ignore">Label of rows that do not count.</param>
    /// <param name="scale">Factor on loss and gradient (gradient accumulation).</param>
    /// <returns>The loss (1).</returns>
    public static Tensor CrossEntropy(this Graph graph, Variable logits, Variable labels, int ignore = -100, float scale = 1)
    {
        (Tensor loss, Tensor? gradient) = graph.Loss(logits);
        graph.Forward(() => graph.Backend.SoftmaxCrossEntropy(
            loss, gradient, logits.Value, labels.Value, ignore, smoothing: 0, scale, graph.LossScale));
        return loss;
    }

    /// <summary>Binary cross-entropy with logits, the mean over all elements times the number of labels; loss and gradient in one operator.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="logits">(N, labels)</param>
    /// <param name="targets">(N, labels) in [0, 1]</param>
    /// <param name="scale">Factor on loss and gradient (gradient accumulation).</param>
    /// <returns>The loss (1).</returns>
    public static Tensor BinaryCrossEntropy(this Graph graph, Variable logits, Variable targets, float scale = 1)
    {
        (Tensor loss, Tensor? gradient) = graph.Loss(logits);
        graph.Forward(() => graph.Backend.BceWithLogits(loss, gradient, logits.Value, targets.Value, scale, graph.LossScale));
        return loss;
    }

    /// <summary>Takes <paramref name="cotangent"/> as the gradient of <paramref name="x"/>: the loss sum(x * cotangent).</summary>
    public static void Cotangent(this Graph graph, Variable x, Variable cotangent)
    {
        (Tensor gradient, bool accumulate) = graph.GradientOf(x);
        graph.Forward(() =>
        {
            if (accumulate)
            {
                graph.Backend.Add(gradient, cotangent.Value);
            }
            else
            {
                graph.Backend.Copy(gradient, cotangent.Value);
            }
        });
    }

    private static (Tensor Loss, Tensor? Gradient) Loss(this Graph graph, Variable logits)
    {
        Tensor? gradient = null;
        if (logits.NeedsGradient)
        {
            (gradient, bool accumulate) = graph.GradientOf(logits);
            if (accumulate)
            {
                throw new InvalidOperationException("A graph has one loss for each logits.");
            }
        }

        return (graph.SaveStatistics(1), gradient);
    }
}
