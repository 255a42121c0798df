using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <inheritdoc/>
    public override void GlobalNorm(Tensor norm, IReadOnlyList<Tensor> gradients, Tensor? lossScale = null)
    {
        Launched();
        double sum = 0;
        foreach (Tensor gradient in gradients)
        {
            foreach (double value in Load(gradient))
            {
                sum += value * value;
            }
        }

        Store(norm, [Math.Sqrt(sum) / Factor(lossScale)]);
    }

    /// <inheritdoc/>
    public override void AdamW(
        IReadOnlyList<AdamWParameter> parameters, in AdamWOptions options, Tensor rate, Tensor updateCounts, Tensor? norm, Tensor? loss,
        Tensor? lossScale = null)
    {
        Launched();
        if ((norm is not null && !double.IsFinite(Load(norm)[0])) || (loss is not null && !double.IsFinite(Load(loss)[0])))
        {
            return;
        }

        Require(rate.Type == ElementType.F32 && updateCounts.Type == ElementType.I32, $"{rate} and {updateCounts} are a rate and counts.");
        double clip = 1;
        double scale = Factor(lossScale);
        if (options.MaxNorm != 0)
        {
            Require(norm is not null, "Clipping needs the norm.");
            clip = Math.Min(1, options.MaxNorm / (Load(norm!)[0] + 1e-6));
        }

        (double b1, double b2) = (options.Beta1, options.Beta2);
        int* counts = (int*)updateCounts.Address;
        for (int index = 0; index < parameters.Count; index++)
        {
            AdamWParameter parameter = parameters[index];
            if (!parameter.Active)
            {
                continue;
            }

            counts[index]++;
            double tensorRate = Load(rate)[0] * parameter.RateMultiplier;
            double correction1 = 1 - Math.Pow(b1, counts[index]);
            double correction2 = 1 - Math.Pow(b2, counts[index]);
            double[] value = Load(parameter.Value);
            double[] gradient = Load(parameter.Gradient);
            double[] m = Load(parameter.FirstMoment);
            double[] v = Load(parameter.SecondMoment);
            for (int i = 0; i < value.Length; i++)
            {
                double g = gradient[i] / scale * clip;
                m[i] = (b1 * m[i]) + ((1 - b1) * g);
                v[i] = (b2 * v[i]) + ((1 - b2) * g * g);
                if (options.DecoupledFirst)
                {
                    value[i] -= tensorRate * parameter.Decay * value[i];
                    value[i] -= tensorRate * (m[i] / correction1) / (Math.Sqrt(v[i] / correction2) + options.Epsilon);
                }
                else
                {
                    value[i] -= tensorRate * Math.Sqrt(correction2) / correction1 * m[i] / (Math.Sqrt(v[i]) + options.Epsilon);
                    value[i] -= tensorRate * parameter.Decay * value[i];
                }
            }

            Store(parameter.Value, value);
            Store(parameter.FirstMoment, m);
            Store(parameter.SecondMoment, v);
        }
    }

    /// <inheritdoc/>
    public override void UpdateLossScale(Tensor state, Tensor norm, in LossScaleOptions options)
    {
        Launched();
        Require(state.Count == 3 && norm.Count == 1, $"{state} is no state of a loss scale, or {norm} no norm.");
        double[] s = Load(state);
        (double scale, double good, double skipped) = (s[0], s[1], s[2]);
        if (!double.IsFinite(Load(norm)[0]))
        {
            (scale, good, skipped) = (Math.Max(options.Smallest, scale * options.Shrinkage), 0, skipped + 1);
        }
        else if (good + 1 < options.Interval)
        {
            good++;
        }
        else
        {
            (scale, good) = (Math.Min(options.Largest, scale * options.Growth), 0);
        }

        Store(state, [scale, good, skipped]);
    }
}
