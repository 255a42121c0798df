using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Evaluation;
using Dvp.Features;
using Dvp.Models.Tokenizers;
using Dvp.Tasks.Vqa;

namespace Dvp.Experiments;

/// <summary>What an evaluation found.</summary>
public sealed record EvaluationResult
{
    /// <summary>The split.</summary>
    public required VqaSplit Split { get; init; }

    /// <summary>One answer an example, in the split's order.</summary>
    public required IReadOnlyList<string> Answers { get; init; }

    /// <summary>Official accuracy in percent with its bootstrap interval; null for a split without answers.</summary>
    public Interval? Accuracy { get; init; }

    /// <summary>The same by question type.</summary>
    public IReadOnlyList<GroupAccuracy> ByQuestionType { get; init; } = [];

    /// <summary>The same by type of answer.</summary>
    public IReadOnlyList<GroupAccuracy> ByAnswerType { get; init; } = [];

    /// <summary>The same for the most frequent answer of the training split; null where there is none.</summary>
    public Interval? Majority { get; init; }

    /// <summary>Questions answered a second, features excluded.</summary>
    public required double QuestionsPerSecond { get; init; }
}

/// <summary>The evaluation of a trained DVP on a split.</summary>
public static class EvaluationJob
{
    /// <summary>Answers every question of a split.</summary>
    /// <param name="paths">Models and data.</param>
    /// <param name="dvp">DVP folder.</param>
    /// <param name="splitName">The split.</param>
    /// <param name="features">A feature store to use or to make; null takes the one beside the DVP folder where it serves, else a
    /// temporary one.</param>
    /// <param name="backend">The device.</param>
    /// <param name="force">Accepts a DVP that was trained on other models.</param>
    /// <param name="onPictures">Called while features are made, with the pictures done and all.</param>
    /// <exception cref="DvpException">A file is missing or damaged, or the DVP was trained on other models.</exception>
    public static EvaluationResult Run(
        ExperimentPaths paths, string dvp, string splitName, string? features, Backend backend, bool force = false,
        Action<int, int>? onPictures = null)
    {
        VqaDataset data = VqaDataset.Open(paths.Data);
        VqaSplit split = data.Split(splitName);
        split.RequireImages();
        using DvpModel model = DvpModel.Load(paths.LanguageModel, paths.VisionModel, dvp, backend, force);
        string? temporary = null;
        try
        {
            using VisualEncoder encoder = VisualEncoder.Load(paths.VisionModel, backend);
            string[] pictures = [.. split.Examples.Select(e => e.ImagePath)];
            string beside = Path.Combine(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(dvp)))!, "features");
            using FeatureStore store = Serving(features ?? beside, paths.Data, encoder, pictures)
                ?? FeatureStore.Build(
                    features ?? (temporary = Path.Combine(Path.GetTempPath(), "dvp-features-" + Guid.NewGuid().ToString("N"))),
                    encoder, paths.Data, pictures, onPictures);
            return Answer(model, data, split, BertTokenizer.Load(paths.LanguageModel), store);
        }
        finally
        {
            if (temporary is not null && Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }
        }
    }

    private static FeatureStore? Serving(string folder, string root, VisualEncoder encoder, string[] pictures)
    {
        if (!AtomicFolder.Exists(folder))
        {
            return null;
        }

        FeatureStore store = FeatureStore.Open(folder, root);
        if (store.Serves(encoder, pictures))
        {
            return store;
        }

        store.Dispose();
        return null;
    }

    private static EvaluationResult Answer(DvpModel model, VqaDataset data, VqaSplit split, BertTokenizer tokenizer, FeatureStore store)
    {
        VqaTrainingData questions = VqaTrainingData.Prepare(
            split, new AnswerVocabulary(model.Config.Answers), tokenizer, store, model.Config.TextLength);
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        int[] best = model.Predictor().Answers(questions.Set, model.Config.Layer ?? 0);
        double seconds = System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds;
        string[] answers = [.. best.Select(a => model.Config.Answers[a])];
        EvaluationResult result = new() { Split = split, Answers = answers, QuestionsPerSecond = answers.Length / Math.Max(1e-9, seconds) };
        if (!split.HasAnswers)
        {
            return result;
        }

        double[] scores = [.. new VqaEvaluation(split, answers).Scores];
        bool known = data.HasSplit("train") && data.Split("train").HasAnswers;
        return result with
        {
            Accuracy = Bootstrap.Mean(scores).Times(100),
            ByQuestionType = [.. AccuracyByType.ByQuestionType(split, scores).Select(Percent)],
            ByAnswerType = [.. AccuracyByType.ByAnswerType(split, scores).Select(Percent)],
            Majority = known ? Bootstrap.Mean(MajorityBaseline.Fit(data.Split("train")).Scores(split)).Times(100) : null,
        };
    }

    private static GroupAccuracy Percent(GroupAccuracy group) => group with { Accuracy = group.Accuracy.Times(100) };
}
