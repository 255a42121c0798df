using Dvp.Engine;

namespace Dvp.Tasks.Vqa;

/// <summary>The answers that the head can give; an answer's place is its label.</summary>
public sealed class AnswerVocabulary
{
    private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);

    /// <summary>A vocabulary of given answers in given order, as a trained folder stores it.</summary>
    /// <exception cref="DvpException">Empty, or an answer twice.</exception>
    public AnswerVocabulary(IEnumerable<string> answers)
    {
        Answers = [.. answers];
        foreach (string answer in Answers)
        {
            if (!_index.TryAdd(answer, _index.Count))
            {
                throw new DvpException($"The answer vocabulary holds \"{answer}\" twice.");
            }
        }

        if (Answers.Count == 0)
        {
            throw new DvpException("The answer vocabulary is empty: no answer is the majority answer of enough questions. "
                + "Lower min_answer_count in dataset.json.");
        }
    }

    /// <summary>The answers by label.</summary>
    public IReadOnlyList<string> Answers { get; }

    /// <summary>The number of answers.</summary>
    public int Count => Answers.Count;

    /// <summary>The label of an answer in vocabulary form, or -1.</summary>
    public int IndexOf(string answer) => _index.GetValueOrDefault(answer, -1);

    /// <summary>
    /// The published rule: the majority answer of each annotation record, normalised (<see cref="AnswerNormalizer.Vocabulary"/>),
    /// kept if seen at least <paramref name="minCount"/> times over all <paramref name="splits"/>, in order of first appearance.
    /// </summary>
    public static AnswerVocabulary Build(IEnumerable<VqaSplit> splits, int minCount = 9)
    {
        Dictionary<string, string> normalised = new(StringComparer.Ordinal);
        Dictionary<string, int> counts = new(StringComparer.Ordinal);
        List<string> order = [];
        foreach (string raw in splits.SelectMany(s => s.MajorityAnswers))
        {
            if (!normalised.TryGetValue(raw, out string? answer))
            {
                normalised.Add(raw, answer = AnswerNormalizer.Vocabulary(raw));
            }

            int count = counts.GetValueOrDefault(answer);
            counts[answer] = count + 1;
            if (count == 0)
            {
                order.Add(answer);
            }
        }

        return new AnswerVocabulary(order.Where(a => counts[a] >= minCount));
    }
}
