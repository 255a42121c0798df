namespace Dvp.Tasks.Vqa;

/// <summary>The official accuracy of a split's answers, in percent, whole and by group as the official code reports it.</summary>
public sealed class VqaEvaluation
{
    /// <summary>Scores one answer an example.</summary>
    /// <param name="split">The split; must have answers.</param>
    /// <param name="answers">One answer an example, in the split's order.</param>
    public VqaEvaluation(VqaSplit split, IReadOnlyList<string> answers)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(answers.Count, split.Examples.Count);
        double[] scores = new double[answers.Count];
        double lavis = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            scores[i] = VqaAccuracy.Official(split.Examples[i].Answers, answers[i]);
            lavis += VqaAccuracy.Lavis(split.Examples[i].Answers, answers[i]);
        }

        Scores = scores;
        Overall = 100 * scores.Average();
        Lavis = 100 * lavis / scores.Length;
        ByAnswerType = Group(split, scores, e => e.AnswerType);
        ByQuestionType = Group(split, scores, e => e.QuestionType);
    }

    /// <summary>The accuracy of each example in [0, 1], in the split's order.</summary>
    public IReadOnlyList<double> Scores { get; }

    /// <summary>The mean, in percent, not rounded (the official code rounds to two decimals).</summary>
    public double Overall { get; }

    /// <summary>The mean, in percent, as LAVIS computes it; see <see cref="VqaAccuracy.Lavis"/>.</summary>
    public double Lavis { get; }

    /// <summary>The mean in percent by answer type, in order of first appearance.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> ByAnswerType { get; }

    /// <summary>The mean in percent by question type, in order of first appearance.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> ByQuestionType { get; }

    private static KeyValuePair<string, double>[] Group(VqaSplit split, double[] scores, Func<VqaExample, string> key) =>
        [.. split.Examples.Select((e, i) => (Key: key(e), Score: scores[i])).GroupBy(x => x.Key, StringComparer.Ordinal)
            .Select(g => KeyValuePair.Create(g.Key, 100 * g.Average(x => x.Score)))];
}
