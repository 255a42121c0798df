using Dvp.Engine;

namespace Dvp.Training;

/// <summary>Where visual tokens come from: a feature store, or an encoder's output in memory.</summary>
public interface IVisualFeatures
{
    /// <summary>N, visual tokens of a picture.</summary>
    int Tokens { get; }

    /// <summary>V, channels of a visual token.</summary>
    int Channels { get; }

    /// <summary>Copies the visual tokens of a picture.</summary>
    /// <param name="row">Row of the picture in the store.</param>
    /// <param name="destination">N V floats</param>
    void Read(int row, Span<float> destination);
}

/// <summary>
/// Examples ready for a model: token ids, the row of the picture's features, soft targets. Immutable; all arrays are by example.
/// </summary>
public sealed class TrainingSet
{
    private readonly int[][] _tokens;
    private readonly int[] _imageRows;
    private readonly int[][] _labels;
    private readonly float[][] _scores;
    private readonly int[] _texts;

    /// <summary>Gathers examples.</summary>
    /// <param name="features">The pictures' visual tokens.</param>
    /// <param name="labelCount">Number of answers.</param>
    /// <param name="tokens">Token ids with specials, at least one each.</param>
    /// <param name="imageRows">Row of each example's picture in <paramref name="features"/>.</param>
    /// <param name="labels">Answers with a score over 0.</param>
    /// <param name="scores">Their soft targets.</param>
    public TrainingSet(IVisualFeatures features, int labelCount, int[][] tokens, int[] imageRows, int[][] labels, float[][] scores)
    {
        if (tokens.Length != imageRows.Length || tokens.Length != labels.Length || tokens.Length != scores.Length)
        {
            throw new ArgumentException("Every example has tokens, a picture, labels and scores.", nameof(tokens));
        }

        Features = features;
        LabelCount = labelCount;
        _tokens = tokens;
        _imageRows = imageRows;
        _labels = labels;
        _scores = scores;
        _texts = NumberTexts(tokens);
    }

    /// <summary>The pictures' visual tokens.</summary>
    public IVisualFeatures Features { get; }

    /// <summary>Number of answers.</summary>
    public int LabelCount { get; }

    /// <summary>Number of examples.</summary>
    public int Count => _tokens.Length;

    /// <summary>Token ids of an example.</summary>
    public ReadOnlySpan<int> Tokens(int example) => _tokens[example];

    /// <summary>Number of an example's text: examples with the same token ids have the same number.</summary>
    public int Text(int example) => _texts[example];

    /// <summary>Row of an example's picture.</summary>
    public int ImageRow(int example) => _imageRows[example];

    /// <summary>Answers of an example with their scores.</summary>
    public IEnumerable<(int Label, float Score)> Answers(int example) => _labels[example].Zip(_scores[example]);

    /// <summary>Writes the dense soft targets of an example.</summary>
    public void WriteTargets(int example, Span<float> row)
    {
        row.Clear();
        for (int i = 0; i < _labels[example].Length; i++)
        {
            row[_labels[example][i]] = _scores[example][i];
        }
    }

    /// <summary>Soft accuracy of an answer: its target score (VQA's min(1, count / 3) family).</summary>
    public float Score(int example, int label)
    {
        int found = Array.IndexOf(_labels[example], label);
        return found < 0 ? 0 : _scores[example][found];
    }

    /// <summary>The best-scored label of an example, for a loss with one label; -100 when there is none.</summary>
    public int BestLabel(int example)
    {
        int best = -100;
        float score = 0;
        for (int i = 0; i < _labels[example].Length; i++)
        {
            if (_scores[example][i] > score)
            {
                (best, score) = (_labels[example][i], _scores[example][i]);
            }
        }

        return best;
    }

    /// <summary>Some of the examples as a set of their own.</summary>
    public TrainingSet Subset(IReadOnlyList<int> examples)
    {
        int n = examples.Count;
        (int[][] tokens, int[] rows, int[][] labels, float[][] scores) = (new int[n][], new int[n], new int[n][], new float[n][]);
        for (int i = 0; i < n; i++)
        {
            int e = examples[i];
            (tokens[i], rows[i], labels[i], scores[i]) = (_tokens[e], _imageRows[e], _labels[e], _scores[e]);
        }

        return new TrainingSet(Features, LabelCount, tokens, rows, labels, scores);
    }

    /// <summary>
    /// Splits the pictures, and with them the examples, into a part to train on and a part held out: no picture is on both sides.
    /// </summary>
    /// <param name="share">Share of the pictures to hold out.</param>
    /// <param name="seed">Seed of the draw.</param>
    public (TrainingSet Train, TrainingSet HeldOut) HoldOut(double share, ulong seed)
    {
        int[] pictures = [.. _imageRows.Distinct().Order()];
        new SeededRandom(seed, stream: 0x5B17).Shuffle<int>(pictures);
        HashSet<int> held = [.. pictures.Take((int)Math.Round(pictures.Length * share))];
        List<int> train = [];
        List<int> rest = [];
        for (int e = 0; e < Count; e++)
        {
            (held.Contains(_imageRows[e]) ? rest : train).Add(e);
        }

        return (Subset(train), Subset(rest));
    }

    private static int[] NumberTexts(int[][] tokens)
    {
        Dictionary<int[], int> numbers = new(new SameTokens());
        int[] texts = new int[tokens.Length];
        for (int e = 0; e < texts.Length; e++)
        {
            if (!numbers.TryGetValue(tokens[e], out texts[e]))
            {
                texts[e] = numbers.Count;
                numbers.Add(tokens[e], texts[e]);
            }
        }

        return texts;
    }

    private sealed class SameTokens : IEqualityComparer<int[]>
    {
        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] tokens)
        {
            HashCode hash = default;
            foreach (int token in tokens)
            {
                hash.Add(token);
            }

            return hash.ToHashCode();
        }
    }
}
