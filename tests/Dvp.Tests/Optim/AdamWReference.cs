namespace Dvp.Tests.Optim;

/// <summary>
/// AdamW in double precision, one tensor after the other, as the yardstick of the engine's own. Every tensor counts its own updates.
/// </summary>
/// <param name="beta1">Decay of the first moment.</param>
/// <param name="beta2">Decay of the second moment.</param>
/// <param name="epsilon">Added to the root of the second moment.</param>
/// <param name="decoupledFirst">
/// false: p -= rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon), then p -= rate decay p (the published arithmetic);
/// true: p *= 1 - rate decay, then p -= rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon) (that of torch.optim.AdamW).
/// </param>
/// <param name="zeroMissing">
/// A tensor without a gradient is skipped, its count too; with true it is updated with zeros once it has had a first gradient, so that
/// its momentum and its decay go on.
/// </param>
public sealed class AdamWReference(double beta1, double beta2, double epsilon, bool decoupledFirst = false, bool zeroMissing = false)
{
    private readonly Dictionary<string, Entry> _tensors = new(StringComparer.Ordinal);

    public IEnumerable<string> Names => _tensors.Keys;

    public void Add(string name, IEnumerable<double> initial, double rateMultiplier = 1, double decay = 0) =>
        _tensors.Add(name, new Entry([.. initial], rateMultiplier, decay));

    public double[] Value(string name) => _tensors[name].Value;

    public int UpdateCount(string name) => _tensors[name].Count;

    /// <summary>One step at a base learning rate; names missing from the gradients have none.</summary>
    public void Step(double rate, IReadOnlyDictionary<string, double[]> gradients)
    {
        foreach ((string name, Entry entry) in _tensors)
        {
            if (gradients.TryGetValue(name, out double[]? gradient))
            {
                Update(entry, rate, gradient);
            }
            else if (zeroMissing && entry.Count > 0)
            {
                Update(entry, rate, new double[entry.Value.Length]);
            }
        }
    }

    private void Update(Entry entry, double baseRate, double[] gradient)
    {
        int t = ++entry.Count;
        double rate = baseRate * entry.RateMultiplier;
        double correction1 = 1 - Math.Pow(beta1, t);
        double correction2 = 1 - Math.Pow(beta2, t);
        for (int i = 0; i < gradient.Length; i++)
        {
            double g = gradient[i];
            double m = entry.First[i] = (beta1 * entry.First[i]) + ((1 - beta1) * g);
            double v = entry.Second[i] = (beta2 * entry.Second[i]) + ((1 - beta2) * g * g);
            double p = entry.Value[i];
            if (decoupledFirst)
            {
                p *= 1 - (rate * entry.Decay);
                p -= rate / correction1 * m / (Math.Sqrt(v / correction2) + epsilon);
            }
            else
            {
                p -= rate * Math.Sqrt(correction2) / correction1 * m / (Math.Sqrt(v) + epsilon);
                p -= rate * entry.Decay * p;
            }

            entry.Value[i] = p;
        }
    }

    private sealed class Entry(double[] value, double rateMultiplier, double decay)
    {
        public double[] Value { get; } = value;

        public double[] First { get; } = new double[value.Length];

        public double[] Second { get; } = new double[value.Length];

        public double RateMultiplier { get; } = rateMultiplier;

        public double Decay { get; } = decay;

        public int Count { get; set; }
    }
}
