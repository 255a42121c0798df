using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <inheritdoc/>
    public override void GlobalNorm(Tensor norm, IReadOnlyList<Tensor> gradients)
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

        Store(norm, [Math.Sqrt(sum)]);
    }

    /// <inheritdoc/>
    public override void AdamW(IReadOnlyList<AdamWParameter> parameters, in AdamWOptions options, Tensor? norm)
    {
        Launched();
        double clip = 1;
        if (options.MaxNorm != 0)
        {
            Require(norm is not null, "Clipping needs the norm.");
            clip = Math.Min(1, options.MaxNorm / (Load(norm!)[0] + 1e-6));
        }

        (double b1, double b2) = (options.Beta1, options.Beta2);
        foreach (AdamWParameter parameter in parameters.Where(p => p.Active))
        {
            double rate = (double)options.Rate * parameter.RateMultiplier;
            double correction1 = 1 - Math.Pow(b1, parameter.UpdateCount);
            double correction2 = 1 - Math.Pow(b2, parameter.UpdateCount);
            double[] value = Load(parameter.Value);
            double[] gradient = Load(parameter.Gradient);
            double[] m = Load(parameter.FirstMoment);
            double[] v = Load(parameter.SecondMoment);
            for (int i = 0; i < value.Length; i++)
            {
                double g = gradient[i] * clip;
                m[i] = (b1 * m[i]) + ((1 - b1) * g);
                v[i] = (b2 * v[i]) + ((1 - b2) * g * g);
                if (options.DecoupledFirst)
                {
                    value[i] -= rate * parameter.Decay * value[i];
                    value[i] -= rate * (m[i] / correction1) / (Math.Sqrt(v[i] / correction2) + options.Epsilon);
                }
                else
                {
                    value[i] -= rate * Math.Sqrt(correction2) / correction1 * m[i] / (Math.Sqrt(v[i]) + options.Epsilon);
                    value[i] -= rate * parameter.Decay * value[i];
                }
            }

            Store(parameter.Value, value);
            Store(parameter.FirstMoment, m);
            Store(parameter.SecondMoment, v);
        }
    }
}
