using System.Runtime.InteropServices;

namespace Dvp.Tasks.Vqa;

/// <summary>How human answers become targets and which questions train.</summary>
public enum TargetProtocol
{
    /// <summary>
    /// Each human answer is brought to the vocabulary's form first; questions without a known answer stay, with zero targets.
    /// </summary>
    Normalized,

    /// <summary>
    /// The published code: human answers are counted as they stand against the normalised vocabulary, and questions without a
    /// known answer are dropped.
    /// </summary>
    Published,
}

/// <summary>
/// The soft targets of a split: for each example the labels that people gave, scored 0.3 / 0.6 / 0.9 / 1 by how many gave them
/// (<see cref="VqaAccuracy.SoftTarget"/>). Stored sparsely, in order of first appearance among the answers.
/// </summary>
public sealed class SoftTargets
{
    private readonly int[] _offsets;
    private readonly int[] _labels;
    private readonly float[] _scores;

    private SoftTargets(int labels, int[] offsets, int[] label, float[] scores)
    {
        LabelCount = labels;
        (_offsets, _labels, _scores) = (offsets, label, scores);
    }

    /// <summary>The number of labels: the size of the vocabulary.</summary>
    public int LabelCount { get; }

    /// <summary>The number of examples.</summary>
    public int Count => _offsets.Length - 1;

    /// <summary>Builds the targets of every example of <paramref name="split"/>, in its order.</summary>
    public static SoftTargets Build(VqaSplit split, AnswerVocabulary vocabulary, TargetProtocol protocol = TargetProtocol.Normalized)
    {
        Dictionary<string, int> labelOf = new(StringComparer.Ordinal);
        int[] offsets = new int[split.Examples.Count + 1];
        List<int> labels = [], counts = [];
        for (int i = 0; i < split.Examples.Count; i++)
        {
            int start = labels.Count;
            foreach (string answer in split.Examples[i].Answers)
            {
                if (!labelOf.TryGetValue(answer, out int label))
                {
                    label = vocabulary.IndexOf(protocol == TargetProtocol.Published ? answer : AnswerNormalizer.Vocabulary(answer));
                    labelOf.Add(answer, label);
                }

                if (label < 0)
                {
                    continue;
                }

                int at = CollectionsMarshal.AsSpan(labels)[start..].IndexOf(label);
                if (at < 0)
                {
                    labels.Add(label);
                    counts.Add(1);
                }
                else
                {
                    counts[start + at]++;
                }
            }

            offsets[i + 1] = labels.Count;
        }

        return new SoftTargets(vocabulary.Count, offsets, [.. labels], [.. counts.Select(VqaAccuracy.SoftTarget)]);
    }

    /// <summary>The labels of an example with a target above zero.</summary>
    public ReadOnlySpan<int> Labels(int example) => _labels.AsSpan(_offsets[example].._offsets[example + 1]);

    /// <summary>The targets of <see cref="Labels"/>.</summary>
    public ReadOnlySpan<float> Scores(int example) => _scores.AsSpan(_offsets[example].._offsets[example + 1]);

    /// <summary>The target of one label, 0 when nobody gave it.</summary>
    public float Score(int example, int label)
    {
        int at = Labels(example).IndexOf(label);
        return at < 0 ? 0f : Scores(example)[at];
    }

    /// <summary>Writes the dense targets of an example.</summary>
    /// <param name="example">The example.</param>
    /// <param name="row">(<see cref="LabelCount"/>), overwritten.</param>
    public void Write(int example, Span<float> row)
    {
        row.Clear();
        ReadOnlySpan<int> labels = Labels(example);
        ReadOnlySpan<float> scores = Scores(example);
        for (int i = 0; i < labels.Length; i++)
        {
            row[labels[i]] = scores[i];
        }
    }

    /// <summary>
    /// The examples that training visits: all of them, or under <see cref="TargetProtocol.Published"/> those with a known answer.
    /// </summary>
    public int[] TrainingExamples(TargetProtocol protocol) =>
        [.. Enumerable.Range(0, Count).Where(i => protocol == TargetProtocol.Normalized || !Labels(i).IsEmpty)];

    /// <summary>
    /// The mean score, in percent, of <paramref name="predictions"/> (one label an example, -1 for an answer outside the
    /// vocabulary), over all examples or over those with a known answer.
    /// </summary>
    public double Accuracy(ReadOnlySpan<int> predictions, bool knownOnly = false)
    {
        double sum = 0;
        int count = 0;
        for (int i = 0; i < Count; i++)
        {
            if (!knownOnly || !Labels(i).IsEmpty)
            {
                sum += Score(i, predictions[i]);
                count++;
            }
        }

        return count == 0 ? 0 : 100 * sum / count;
    }
}
