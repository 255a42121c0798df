using Dvp.Engine;
using Dvp.Engine.Nn;

namespace Dvp.Prompting;

/// <summary>Initial values, as the paper's code has them unless a preset says otherwise.</summary>
/// <param name="TypeDeviation">
/// Standard deviation of E, the type embeddings of text and prompt: 1 in the published code (framework default).
/// </param>
/// <param name="Seed">Seed of all draws; every parameter draws from a stream of its own name, so adding one changes no other.</param>
public sealed record InitialValues(ulong Seed, double TypeDeviation = 1)
{
    /// <summary>Uniform in +-1/sqrt(fan in): the prompt attention's linears, weights and biases.</summary>
    public Initializer Uniform(string name, int fanIn) => values =>
    {
        double bound = 1 / Math.Sqrt(fanIn);
        Stream(name).FillUniform(values, -bound, bound);
    };

    /// <summary>Normal around 0.</summary>
    public Initializer Normal(string name, double deviation) => values => Stream(name).FillNormal(values, 0, deviation);

    /// <summary>Uniform in +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010): LLaMA's adapters.</summary>
    public Initializer Xavier(string name, int inputs, int outputs) => values =>
    {
        double bound = Math.Sqrt(6.0 / (inputs + outputs));
        Stream(name).FillUniform(values, -bound, bound);
    };

    /// <summary>All values the same.</summary>
    public static Initializer Constant(float value) => values => values.Fill(value);

    private SeededRandom Stream(string name)
    {
        uint hash = 2166136261; // FNV-1a: a stable number for a name, on every machine
        foreach (char c in name)
        {
            hash = (hash ^ c) * 16777619;
        }

        return new SeededRandom(Seed, hash);
    }
}
