namespace Dvp.Tasks.Vqa;

/// <summary>
/// The official accuracy of every label of a vocabulary, prepared once for a split: scoring a prediction is then a look-up.
/// </summary>
public sealed class VqaScorer
{
    private readonly int[] _offsets;
    private readonly int[] _labels;
    private readonly double[] _scores;

    /// <summary>Prepares the scores of <paramref name="split"/>'s examples.</summary>
    public VqaScorer(VqaSplit split, AnswerVocabulary vocabulary)
    {
        Dictionary<string, int[]> raw = Group(vocabulary.Answers.Select(AnswerNormalizer.Trim));
        Dictionary<string, int[]> processed = Group(vocabulary.Answers.Select(AnswerNormalizer.Official));
        Dictionary<string, string> official = new(StringComparer.Ordinal);
        _offsets = new int[split.Examples.Count + 1];
        List<int> labels = [];
        List<double> scores = [];
        for (int i = 0; i < split.Examples.Count; i++)
        {
            string[] answers = VqaAccuracy.Trimmed(split.Examples[i].Answers);
            bool equal = VqaAccuracy.AllEqual(answers);
            for (int j = 0; j < answers.Length && !equal; j++)
            {
                if (!official.TryGetValue(answers[j], out string? form))
                {
                    official.Add(answers[j], form = AnswerNormalizer.Official(answers[j]));
                }

                answers[j] = form;
            }

            foreach (IGrouping<string, string> answer in answers.GroupBy(a => a, StringComparer.Ordinal))
            {
                foreach (int label in (equal ? raw : processed).GetValueOrDefault(answer.Key, []))
                {
                    labels.Add(label);
                    scores.Add(VqaAccuracy.FromMatches(answer.Count(), answers.Length));
                }
            }

            _offsets[i + 1] = labels.Count;
        }

        (_labels, _scores) = ([.. labels], [.. scores]);
    }

    /// <summary>The official accuracy, in [0, 1], of answering <paramref name="label"/> to an example.</summary>
    public double Score(int example, int label)
    {
        int at = _labels.AsSpan(_offsets[example].._offsets[example + 1]).IndexOf(label);
        return at < 0 ? 0 : _scores[_offsets[example] + at];
    }

    private static Dictionary<string, int[]> Group(IEnumerable<string> forms) =>
        forms.Select((form, label) => (form, label)).GroupBy(x => x.form, StringComparer.Ordinal)
            .ToDictionary(g => g.Key, g => g.Select(x => x.label).ToArray(), StringComparer.Ordinal);
}
