using System.IO.Compression;
using System.Text.Json;
using Dvp.Tasks.Vqa;
using Xunit;

namespace Dvp.Tests.Tasks;

/// <summary>The miniature VQA v2.0 data set: reading, vocabulary, targets, scores and the submission file.</summary>
public class VqaDatasetTests
{
    private const string Folder = "metrics/datasets/vqa2";
    private static readonly Lazy<JsonElement> s_expected =
        new(() => JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path(Folder + "/expected.json"))).RootElement);

    private static readonly (string Split, string Subtype)[] s_splits =
        [("train", "train2014"), ("val", "val2014"), ("test", "test2015"), ("test-dev", "test-dev2015")];

    private static JsonElement Expected => s_expected.Value;

    [Fact]
    public void Published_names_give_four_splits_and_their_counts()
    {
        VqaDataset data = VqaDataset.Open(Fixtures.Path(Folder));
        Assert.Equal(s_splits.Select(s => s.Split), data.SplitNames);
        foreach ((string name, string subtype) in s_splits)
        {
            VqaSplit split = data.Split(name);
            Assert.Equal(subtype, split.Subtype);
            Assert.Equal(Expected.GetProperty("questions").GetProperty(subtype).GetInt32(), split.QuestionRecords);
            Assert.Equal(
                Expected.GetProperty("unique_questions").TryGetProperty(subtype, out JsonElement unique) ? unique.GetInt32() : 5,
                split.Examples.Count);
            int annotations = Expected.GetProperty("annotations").TryGetProperty(subtype, out JsonElement a) ? a.GetInt32() : 0;
            Assert.Equal(annotations, split.MajorityAnswers.Count);
            Assert.Equal(annotations > 0, split.HasAnswers);
            long[] duplicates = Expected.GetProperty("duplicate_question_ids").TryGetProperty(subtype, out JsonElement d)
                ? [.. d.EnumerateArray().Select(x => x.GetInt64())] : [];
            Assert.Equal(duplicates, split.DuplicateQuestionIds);
        }
    }

    [Fact]
    public void Answers_types_and_pictures_are_as_expected()
    {
        string folder = Fixtures.Path(Folder);
        VqaDataset data = VqaDataset.Open(folder);
        foreach ((string name, string subtype) in s_splits.Take(2))
        {
            VqaSplit split = data.Split(name);
            Dictionary<string, int> types = split.Examples.SelectMany(e => Enumerable.Repeat(e.AnswerType,
                split.DuplicateQuestionIds.Contains(e.QuestionId) ? 2 : 1)).GroupBy(t => t).ToDictionary(g => g.Key, g => g.Count());
            Assert.Equal(
                Expected.GetProperty("answer_types").GetProperty(subtype).EnumerateObject()
                    .ToDictionary(p => p.Name, p => p.Value.GetInt32()),
                types);
            Assert.Equal(
                Expected.GetProperty("answers_fewer_than_10").GetProperty(subtype).EnumerateObject()
                    .ToDictionary(p => long.Parse(p.Name), p => p.Value.GetInt32()),
                split.Examples.Where(e => e.Answers.Count < 10).ToDictionary(e => e.QuestionId, e => e.Answers.Count));
        }

        string[] missing = [.. s_splits.SelectMany(s => data.Split(s.Split).MissingImages()).Select(e => Relative(e.ImagePath))];
        Assert.Equal(
            Expected.GetProperty("missing_images").GetProperty("val2014").EnumerateArray().Select(x => x.GetString()), missing);
        foreach (JsonProperty image in Expected.GetProperty("images").EnumerateObject())
        {
            Assert.Contains(image.Name, s_splits.SelectMany(s => data.Split(s.Split).Examples).Select(e => Relative(e.ImagePath)));
        }

        Errors.Contains(() => data.Split("val").RequireImages(), "COCO_val2014_000000262175.jpg", "262175000");

        string Relative(string path) => Path.GetRelativePath(folder, path).Replace('\\', '/');
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(9)]
    public void Vocabulary_equals_the_published_rule(int minimum)
    {
        VqaDataset data = VqaDataset.Open(Fixtures.Path(Folder));
        Assert.Equal(9, data.MinAnswerCount);
        Assert.Equal(
            Expected.GetProperty("vocabularies").GetProperty($"{minimum}").EnumerateArray().Select(x => x.GetString()),
            data.BuildVocabulary(minimum).Answers);
    }

    [Theory]
    [InlineData("raw", TargetProtocol.Published)]
    [InlineData("normalized", TargetProtocol.Normalized)]
    public void Soft_targets_equal_both_protocols(string key, TargetProtocol protocol)
    {
        VqaDataset data = VqaDataset.Open(Fixtures.Path(Folder));
        AnswerVocabulary vocabulary = data.BuildVocabulary(2);
        foreach ((string name, string subtype) in s_splits.Take(2))
        {
            VqaSplit split = data.Split(name);
            SoftTargets targets = SoftTargets.Build(split, vocabulary, protocol);
            JsonElement expected = Expected.GetProperty("soft_targets").GetProperty(key).GetProperty(subtype);
            Assert.Equal(expected.EnumerateObject().Count(), split.Examples.Count);
            float[] row = new float[vocabulary.Count];
            foreach (JsonProperty question in expected.EnumerateObject())
            {
                int at = split.IndexOf(long.Parse(question.Name));
                Assert.Equal(question.Value.EnumerateArray().Select(p => p[0].GetInt32()), targets.Labels(at).ToArray());
                Assert.Equal(question.Value.EnumerateArray().Select(p => p[1].GetSingle()), targets.Scores(at).ToArray());
                Array.Fill(row, float.NaN);
                targets.Write(at, row);
                Assert.Equal(question.Value.EnumerateArray().Sum(p => p[1].GetSingle()), row.Sum(), 1e-6f);
            }

            int known = expected.EnumerateObject().Count(q => q.Value.GetArrayLength() > 0);
            Assert.Equal(protocol == TargetProtocol.Published ? known : split.Examples.Count, targets.TrainingExamples(protocol).Length);
        }
    }

    [Fact]
    public void Evaluation_equals_the_official_code()
    {
        VqaSplit split = VqaDataset.Open(Fixtures.Path(Folder)).Split("val");
        string file = Fixtures.Path(Folder + "/predictions_val2014.json");
        Dictionary<long, string> predictions = VqaResults.Read(file);
        VqaEvaluation result = VqaResults.Evaluate(split, predictions, file);
        JsonElement expected = Expected.GetProperty("predictions_val2014").GetProperty("official");
        Assert.Equal(expected.GetProperty("overall_unrounded").GetDouble(), result.Overall, 1e-9);
        Assert.Equal(expected.GetProperty("overall").GetDouble(), Math.Round(result.Overall, 2));
        Assert.Equal(Expected.GetProperty("predictions_val2014").GetProperty("lavis_overall").GetDouble(), result.Lavis, 0.005);
        Compare(expected.GetProperty("perAnswerType"), result.ByAnswerType);
        Compare(expected.GetProperty("perQuestionType"), result.ByQuestionType);
        foreach (JsonProperty question in expected.GetProperty("per_question").EnumerateObject())
        {
            Assert.Equal(question.Value.GetDouble(), 100 * result.Scores[split.IndexOf(long.Parse(question.Name))], 0.005);
        }

        static void Compare(JsonElement expected, IReadOnlyList<KeyValuePair<string, double>> actual)
        {
            Assert.Equal(expected.EnumerateObject().Select(p => p.Name), actual.Select(p => p.Key));
            Assert.All(actual, p => Assert.Equal(expected.GetProperty(p.Key).GetDouble(), p.Value, 0.005));
        }
    }

    [Theory]
    [InlineData("raw", TargetProtocol.Published)]
    [InlineData("normalized", TargetProtocol.Normalized)]
    public void Soft_target_score_equals_both_protocols(string key, TargetProtocol protocol)
    {
        VqaDataset data = VqaDataset.Open(Fixtures.Path(Folder));
        VqaSplit split = data.Split("val");
        AnswerVocabulary vocabulary = data.BuildVocabulary(2);
        SoftTargets targets = SoftTargets.Build(split, vocabulary, protocol);
        Dictionary<long, string> predictions = VqaResults.Read(Fixtures.Path(Folder + "/predictions_val2014.json"));
        int[] labels = [.. split.Examples.Select(e => vocabulary.IndexOf(AnswerNormalizer.Vocabulary(predictions[e.QuestionId])))];
        JsonElement expected = Expected.GetProperty("predictions_val2014").GetProperty("soft_target_score").GetProperty(key);
        Assert.Equal(
            expected.GetProperty("questions_without_a_known_answer").EnumerateArray().Select(x => x.GetInt64()).Order(),
            Enumerable.Range(0, targets.Count).Where(i => targets.Labels(i).IsEmpty).Select(i => split.Examples[i].QuestionId).Order());
        double known = expected.GetProperty("score_over_questions_with_a_known_answer").GetDouble();
        Assert.Equal(known, targets.Accuracy(labels, knownOnly: true), 1e-5);
        Assert.Equal(expected.GetProperty("score_over_all_questions").GetDouble(), targets.Accuracy(labels), 1e-5);
    }

    [Theory]
    [InlineData("predictions_val2014_incomplete")]
    [InlineData("predictions_val2014_unknown_id")]
    public void Incomplete_and_foreign_predictions_are_refused(string name)
    {
        VqaSplit split = VqaDataset.Open(Fixtures.Path(Folder)).Split("val");
        string file = Fixtures.Path($"{Folder}/{name}.json");
        string error = Expected.GetProperty(name).GetProperty("error").GetString()!;
        Errors.Contains(() => VqaResults.Evaluate(split, VqaResults.Read(file), file), file, error);
    }

    [Fact]
    public void Submission_is_in_the_servers_format_and_order()
    {
        VqaSplit split = VqaDataset.Open(Fixtures.Path(Folder)).Split("test");
        JsonElement predicted = Expected.GetProperty("predicted_answers_test2015");
        using MemoryStream stream = new();
        VqaResults.Write(stream, split, [.. split.Examples.Select(e => predicted.GetProperty($"{e.QuestionId}").GetString()!)]);
        using JsonDocument actual = JsonDocument.Parse(stream.ToArray());
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path(Folder + "/expected_submission_test2015.json")));
        Assert.True(JsonElement.DeepEquals(expected.RootElement, actual.RootElement));
        Errors.Contains(() => VqaResults.Evaluate(split, new Dictionary<long, string>(), "r.json"), "no answers");
    }

    [Fact]
    public void Prepared_scores_equal_the_accuracy_of_each_label()
    {
        VqaDataset data = VqaDataset.Open(Fixtures.Path(Folder));
        VqaSplit split = data.Split("val");
        AnswerVocabulary vocabulary = data.BuildVocabulary(1);
        VqaScorer scorer = new(split, vocabulary);
        for (int i = 0; i < split.Examples.Count; i++)
        {
            for (int label = 0; label < vocabulary.Count; label++)
            {
                Assert.Equal(VqaAccuracy.Official(split.Examples[i].Answers, vocabulary.Answers[label]), scorer.Score(i, label), 1e-12);
            }
        }
    }

    [Theory]
    [InlineData("gz")]
    [InlineData("zip")]
    public void Compressed_files_are_read_where_they_lie(string kind)
    {
        string source = Fixtures.Path(Folder);
        using TemporaryFolder folder = new();
        string[] files = [.. Directory.GetFiles(source, "v2_*.json").Select(f => Path.GetFileName(f)).Order()];
        if (kind == "gz")
        {
            foreach (string file in files)
            {
                using GZipStream gz = new(File.Create(folder.File(file + ".gz")), CompressionLevel.Fastest);
                gz.Write(File.ReadAllBytes(Path.Combine(source, file)));
            }
        }
        else
        {
            using ZipArchive questions = ZipFile.Open(folder.File("v2_Questions_mscoco.zip"), ZipArchiveMode.Create);
            using ZipArchive annotations = ZipFile.Open(folder.File("v2_Annotations_mscoco.zip"), ZipArchiveMode.Create);
            foreach (string file in files)
            {
                (file.Contains("questions") ? questions : annotations).CreateEntryFromFile(Path.Combine(source, file), file);
            }
        }

        VqaDataset plain = VqaDataset.Open(source), packed = VqaDataset.Open(folder.Path);
        Assert.Equal(plain.SplitNames, packed.SplitNames);
        Assert.EndsWith(
            kind == "gz" ? "questions.json.gz" : "v2_Questions_mscoco.zip/v2_OpenEnded_mscoco_train2014_questions.json",
            packed.OriginsOf("train")[0]);
        foreach (string name in plain.SplitNames)
        {
            Assert.Equal(plain.Split(name).Examples.Select(Text), packed.Split(name).Examples.Select(Text));
        }

        static string Text(VqaExample e) =>
            $"{e.QuestionId}|{e.ImageId}|{e.Question}|{string.Join('/', e.Answers)}|{e.MajorityAnswer}|{e.QuestionType}|{e.AnswerType}";
    }
}
