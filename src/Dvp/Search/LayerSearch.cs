using Dvp.Engine;

namespace Dvp.Search;

/// <summary>What all strategies share: sizes, random numbers, checks and the frame of a saved state.</summary>
public abstract class LayerSearch : ILayerSearch
{
    /// <summary>The random stream of searches under a run's seed.</summary>
    public const uint RandomStream = 0x5EA6C4;

    private protected LayerSearch(string name, int layers, int samples, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(layers);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(samples);
        Name = name;
        Layers = layers;
        Samples = samples;
        Random = new SeededRandom(seed, RandomStream);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int Layers { get; }

    /// <summary>S, the number of layers scored in a step.</summary>
    public int Samples { get; }

    /// <inheritdoc/>
    public int Steps { get; private set; }

    /// <inheritdoc/>
    public virtual bool Finished => false;

    /// <inheritdoc/>
    public virtual int Best => IndexOfLargest(Preferences);

    /// <inheritdoc/>
    public abstract double[] Preferences { get; }

    private protected SeededRandom Random { get; private set; }

    /// <inheritdoc/>
    public abstract int[] Draw();

    /// <inheritdoc/>
    public void Update(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores)
    {
        if (arms.Length != scores.Length || arms.IsEmpty)
        {
            throw new ArgumentException(
                $"{arms.Length} layers with {scores.Length} scores: a step has one score for each of at least one layer.",
                nameof(scores));
        }

        for (int j = 0; j < arms.Length; j++)
        {
            if ((uint)arms[j] >= (uint)Layers)
            {
                throw new ArgumentException($"Layer {arms[j]} is outside [0, {Layers}).", nameof(arms));
            }

            if (!double.IsFinite(scores[j]))
            {
                throw new ArgumentException($"The score of layer {arms[j]} is {scores[j]}: scores must be finite.", nameof(scores));
            }
        }

        Learn(arms, scores);
        Steps++;
    }

    /// <inheritdoc/>
    public SearchState Save() => new(Name, Layers, Steps, Random.State, SaveValues());

    /// <inheritdoc/>
    public void Restore(SearchState state)
    {
        if (state.Strategy != Name || state.Layers != Layers || !RestoreValues([.. state.Values]))
        {
            throw new DvpException(
                $"The saved search is {state.Strategy} over {state.Layers} layers, this one is {Name} over {Layers}: " +
                "resume with the settings the run was started with.");
        }

        Steps = state.Steps;
        Random = new SeededRandom(state.Random);
    }

    /// <summary>Index of the largest value; of equals the first.</summary>
    internal static int IndexOfLargest(ReadOnlySpan<double> values)
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
        {
            if (values[i] > values[best])
            {
                best = i;
            }
        }

        return best;
    }

    private protected abstract void Learn(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores);

    private protected abstract double[] SaveValues();

    /// <summary>Takes the values back; false when their number does not fit.</summary>
    private protected abstract bool RestoreValues(double[] values);
}
