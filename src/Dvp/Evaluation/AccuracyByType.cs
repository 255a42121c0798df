using Dvp.Tasks.Vqa;

namespace Dvp.Evaluation;

/// <summary>The accuracy of one group of questions.</summary>
/// <param name="Group">Its name: a question type or an answer type.</param>
/// <param name="Count">Questions in it.</param>
/// <param name="Accuracy">Mean in [0, 1] with its bootstrap interval.</param>
public sealed record GroupAccuracy(string Group, int Count, Interval Accuracy);

/// <summary>Accuracies by group of questions.</summary>
public static class AccuracyByType
{
    /// <summary>By question type, the largest group first; groups of equal size in order of first appearance.</summary>
    /// <param name="split">The questions.</param>
    /// <param name="scores">One score an example, in the split's order.</param>
    /// <param name="seed">Of the bootstrap.</param>
    public static IReadOnlyList<GroupAccuracy> ByQuestionType(VqaSplit split, IReadOnlyList<double> scores, ulong seed = 1) =>
        Group(split, scores, e => e.QuestionType, seed);

    /// <summary>By answer type.</summary>
    /// <inheritdoc cref="ByQuestionType"/>
    public static IReadOnlyList<GroupAccuracy> ByAnswerType(VqaSplit split, IReadOnlyList<double> scores, ulong seed = 1) =>
        Group(split, scores, e => e.AnswerType, seed);

    private static GroupAccuracy[] Group(VqaSplit split, IReadOnlyList<double> scores, Func<VqaExample, string> key, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(scores.Count, split.Examples.Count);
        return [.. Enumerable.Range(0, scores.Count).GroupBy(i => key(split.Examples[i]), i => scores[i], StringComparer.Ordinal)
            .Select(g => new GroupAccuracy(g.Key, g.Count(), Bootstrap.Mean(g.ToArray(), seed: seed)))
            .OrderByDescending(g => g.Count)];
    }
}
