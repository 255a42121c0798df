namespace Dvp.Reporting;

/// <summary>
/// The attention of one prompt over the patches of a picture. The patches cover the picture's centred square, which is what
/// the visual encoder sees.
/// </summary>
/// <param name="Rows">Patches down.</param>
/// <param name="Columns">Patches across.</param>
/// <param name="Weights">(Rows, Columns), not negative; only their proportions are shown.</param>
public sealed record AttentionGrid(int Rows, int Columns, IReadOnlyList<float> Weights)
{
    /// <summary>The mean over the heads of attention probabilities, without the class token that stands before the patches.</summary>
    /// <param name="probabilities">(heads, tokens).</param>
    /// <param name="heads">The number of heads.</param>
    /// <param name="tokens">Visual tokens, class token included: rows * rows + 1.</param>
    /// <exception cref="ArgumentException">The patches are not a square, or the sizes do not fit.</exception>
    public static AttentionGrid FromHeads(ReadOnlySpan<float> probabilities, int heads, int tokens)
    {
        int side = (int)Math.Round(Math.Sqrt(tokens - 1));
        if ((side * side) + 1 != tokens || heads < 1 || probabilities.Length != heads * tokens)
        {
            throw new ArgumentException($"{heads} heads over {tokens} tokens are not a class token and a square of patches.");
        }

        float[] weights = new float[side * side];
        for (int h = 0; h < heads; h++)
        {
            ReadOnlySpan<float> head = probabilities.Slice((h * tokens) + 1, weights.Length);
            for (int i = 0; i < weights.Length; i++)
            {
                weights[i] += head[i] / heads;
            }
        }

        return new AttentionGrid(side, side, weights);
    }

    /// <summary>The weights scaled so that the largest is 1 and the smallest 0; all 0 where there is no contrast.</summary>
    internal float[] Scaled()
    {
        float low = Weights.Min(), range = Weights.Max() - low;
        return [.. Weights.Select(w => range > 0 ? (w - low) / range : 0f)];
    }
}
