namespace Dvp.Tasks.Vqa;

/// <summary>Scores of one predicted answer against the human answers of its question, in [0, 1].</summary>
public static class VqaAccuracy
{
    /// <summary>
    /// The official accuracy: the mean over the human answers of min(1, equal answers among the others / 3). All strings are
    /// processed first, unless all human answers are the same string: then nothing is, the prediction neither.
    /// </summary>
    /// <param name="answers">The human answers as published, usually ten, at least one.</param>
    /// <param name="prediction">The predicted answer.</param>
    public static double Official(IReadOnlyList<string> answers, string prediction)
    {
        string[] human = Trimmed(answers);
        if (AllEqual(human))
        {
            return Score(human, AnswerNormalizer.Trim(prediction));
        }

        for (int i = 0; i < human.Length; i++)
        {
            human[i] = AnswerNormalizer.Official(human[i]);
        }

        return Score(human, AnswerNormalizer.Official(prediction));
    }

    /// <summary>
    /// The accuracy as LAVIS 1.0.2 computes it: the prediction is always processed, human answers only for punctuation and only
    /// if they differ. Scores made with it are not comparable with official ones.
    /// </summary>
    /// <inheritdoc cref="Official" path="/param"/>
    public static double Lavis(IReadOnlyList<string> answers, string prediction)
    {
        string[] human = [.. answers];
        if (!AllEqual(human))
        {
            for (int i = 0; i < human.Length; i++)
            {
                human[i] = AnswerNormalizer.PunctuationOnly(human[i]);
            }
        }

        return Score(human, AnswerNormalizer.Official(prediction));
    }

    /// <summary>The training target of an answer given by <paramref name="count"/> people: 0, 0.3, 0.6, 0.9, then 1.</summary>
    public static float SoftTarget(int count) => count switch
    {
        <= 0 => 0f,
        1 => 0.3f,
        2 => 0.6f,
        3 => 0.9f,
        _ => 1f,
    };

    /// <summary>
    /// The score of an answer that <paramref name="matches"/> of <paramref name="count"/> people gave: each person who gave it
    /// sees one match less among the others than each person who did not.
    /// </summary>
    internal static double FromMatches(int matches, int count)
    {
        double whenOwn = Math.Min(1.0, (matches - 1) / 3.0), whenOther = Math.Min(1.0, matches / 3.0);
        return matches == 0 ? 0 : ((matches * whenOwn) + ((count - matches) * whenOther)) / count;
    }

    private static double Score(string[] human, string prediction)
    {
        int matches = 0;
        foreach (string answer in human)
        {
            matches += string.Equals(answer, prediction, StringComparison.Ordinal) ? 1 : 0;
        }

        return FromMatches(matches, human.Length);
    }

    internal static bool AllEqual(string[] answers)
    {
        for (int i = 1; i < answers.Length; i++)
        {
            if (!string.Equals(answers[0], answers[i], StringComparison.Ordinal))
            {
                return false;
            }
        }

        return true;
    }

    internal static string[] Trimmed(IReadOnlyList<string> answers)
    {
        string[] result = new string[answers.Count];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = AnswerNormalizer.Trim(answers[i]);
        }

        return result;
    }
}
