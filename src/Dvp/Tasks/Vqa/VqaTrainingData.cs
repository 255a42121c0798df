using Dvp.Engine;
using Dvp.Features;
using Dvp.Models.Tokenizers;
using Dvp.Training;

namespace Dvp.Tasks.Vqa;

/// <summary>A split of a VQA data set as a model reads it: token ids, feature rows, soft targets.</summary>
/// <param name="Split">The split.</param>
/// <param name="Set">One example for each of the split's, in order.</param>
public sealed record VqaTrainingData(VqaSplit Split, TrainingSet Set)
{
    /// <summary>Tokenises a split and looks its pictures up.</summary>
    /// <param name="split">The split; questions without answers get no targets.</param>
    /// <param name="vocabulary">The answers.</param>
    /// <param name="tokenizer">The language model's tokenizer.</param>
    /// <param name="features">The pictures' visual tokens.</param>
    /// <param name="textLength">Longest text in tokens, specials included; longer ones are cut.</param>
    /// <param name="protocol">How human answers become targets.</param>
    /// <exception cref="DvpException">A picture is not in the store.</exception>
    public static VqaTrainingData Prepare(
        VqaSplit split, AnswerVocabulary vocabulary, BertTokenizer tokenizer, FeatureStore features, int textLength,
        TargetProtocol protocol = TargetProtocol.Normalized)
    {
        SoftTargets targets = SoftTargets.Build(split, vocabulary, protocol);
        int n = split.Examples.Count;
        (int[][] tokens, int[] rows, int[][] labels, float[][] scores) = (new int[n][], new int[n], new int[n][], new float[n][]);
        Dictionary<string, int[]> seen = new(StringComparer.Ordinal); // questions repeat: one array for all that are equal
        for (int e = 0; e < n; e++)
        {
            VqaExample example = split.Examples[e];
            if (!seen.TryGetValue(example.Question, out int[]? ids))
            {
                ids = Tokenize(tokenizer, example.Question, textLength);
                seen.Add(example.Question, ids);
            }

            tokens[e] = ids;
            rows[e] = features.RowOf(example.ImagePath);
            labels[e] = targets.Labels(e).ToArray();
            scores[e] = targets.Scores(e).ToArray();
        }

        return new VqaTrainingData(split, new TrainingSet(features, vocabulary.Count, tokens, rows, labels, scores));
    }

    /// <summary>The token ids of a question, cut to a length.</summary>
    public static int[] Tokenize(BertTokenizer tokenizer, string question, int textLength) =>
        tokenizer.Encode(question, null, new EncodeOptions { Truncation = TruncationMode.LongestFirst, MaxLength = textLength }).Ids;
}
