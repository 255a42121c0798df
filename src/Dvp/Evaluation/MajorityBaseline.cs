using Dvp.Engine;
using Dvp.Tasks.Vqa;

namespace Dvp.Evaluation;

/// <summary>
/// What is reached without looking at picture or question: the most frequent majority answer of the training split, overall or
/// within the question's type.
/// </summary>
public sealed class MajorityBaseline
{
    private readonly Dictionary<string, string> _byType;

    private MajorityBaseline(string answer, Dictionary<string, string> byType) => (Answer, _byType) = (answer, byType);

    /// <summary>The most frequent answer of all, in vocabulary form.</summary>
    public string Answer { get; }

    /// <summary>Counts the answers of a training split; of equally frequent ones the first seen wins.</summary>
    /// <exception cref="DvpException">The split has no answers.</exception>
    public static MajorityBaseline Fit(VqaSplit train)
    {
        if (!train.HasAnswers)
        {
            throw new DvpException($"The split \"{train.Name}\" has no answers to take the majority of.");
        }

        return new MajorityBaseline(
            MostFrequent(train.Examples),
            train.Examples.GroupBy(e => e.QuestionType, StringComparer.Ordinal)
                .ToDictionary(g => g.Key, MostFrequent, StringComparer.Ordinal));
    }

    /// <summary>The most frequent answer to a type of question; the overall one for a type that training does not have.</summary>
    public string AnswerTo(string questionType) => _byType.GetValueOrDefault(questionType, Answer);

    /// <summary>The official accuracy, in [0, 1], of the majority answer for each example of a split.</summary>
    /// <param name="split">A split with answers.</param>
    /// <param name="byQuestionType">Answer by the question's type instead of with the one overall answer.</param>
    public double[] Scores(VqaSplit split, bool byQuestionType = false) =>
        [.. split.Examples.Select(e => VqaAccuracy.Official(e.Answers, byQuestionType ? AnswerTo(e.QuestionType) : Answer))];

    private static string MostFrequent(IEnumerable<VqaExample> examples) =>
        examples.GroupBy(e => e.MajorityAnswer, StringComparer.Ordinal)
            .GroupBy(g => AnswerNormalizer.Vocabulary(g.Key), g => g.Count(), StringComparer.Ordinal)
            .MaxBy(g => g.Sum())!.Key;
}
