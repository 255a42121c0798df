using System.Text;
using Dvp.Tasks.Vqa;
using Xunit;

namespace Dvp.Tests.Tasks;

/// <summary>What a user's own data folder can get wrong, and what it need not have.</summary>
public class VqaErrorTests
{
    private const string Description =
        """
        {"task": "vqa", "images": "pictures", "image_name": "{id}.png",
         "splits": {"train": {"questions": "q.json", "annotations": "a.json"}}}
        """;

    private const string Questions = """{"questions": [{"image_id": 1, "question": "Is it red?", "question_id": 7}]}""";
    private const string Annotations =
        """{"annotations": [{"question_id": 7, "answers": [{"answer": "yes"}, {"answer": "no"}, {"answer": "no"}]}]}""";

    [Fact]
    public void A_minimal_folder_is_enough()
    {
        using TemporaryFolder folder = new();
        VqaSplit split = Load(folder, Description, "\uFEFF" + Questions, Annotations);
        VqaExample e = Assert.Single(split.Examples);
        Assert.Equal("no", e.MajorityAnswer);
        Assert.Equal("is it", e.QuestionType);
        Assert.Equal("yes/no", e.AnswerType);
        Assert.Equal(Path.Combine(folder.Path, "pictures", "1.png"), e.ImagePath);
        Errors.Contains(split.RequireImages, "1.png", "question 7", "train");
        Directory.CreateDirectory(folder.File("pictures"));
        folder.Write("pictures/1.png", "x");
        split.RequireImages();
    }

    [Fact]
    public void The_sample_is_read_whole()
    {
        VqaDataset data = VqaDataset.Open(Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa", "data"));
        Assert.Equal([4909, 543, 1244], data.SplitNames.Select(s => data.Split(s).Examples.Count));
        Assert.Equal(1, data.MinAnswerCount);
        AnswerVocabulary vocabulary = data.BuildVocabulary();
        Assert.Equal(13, vocabulary.Count);
        Assert.All(data.SplitNames, s => data.Split(s).RequireImages());
        VqaSplit test = data.Split("test");
        Assert.Equal(7, test.Examples.Select(e => e.QuestionType).Distinct().Count());
        VqaScorer scorer = new(test, vocabulary);
        Assert.All(
            Enumerable.Range(0, test.Examples.Count),
            i => Assert.Equal(1.0, scorer.Score(i, vocabulary.IndexOf(test.Examples[i].MajorityAnswer))));
    }

    [Theory]
    [InlineData("""{"task": "gqa", "splits": {"train": {"questions": "q.json"}}}""", "\"gqa\"")]
    [InlineData("""{"task": "vqa"}""", "no splits")]
    [InlineData("""{"splits": {"train": {"questions": "q.json"}}}""", "\"task\"")]
    [InlineData("""{"task": "vqa", "image": "x", "splits": {}}""", "unknown field \"image\"")]
    [InlineData("""{"task": "vqa", "min_answer_count": 0, "splits": {}}""", "min_answer_count")]
    [InlineData("""{"task": "vqa", "splits": {"train": {"annotations": "a.json"}}}""", "split \"train\"", "\"questions\"")]
    [InlineData("""{"task": "vqa", "splits": {"train": {"questions": "other.json"}}}""", "other.json", "does not exist")]
    [InlineData("""{"task": "vqa", "splits": {"val": {"questions": "q.json"}}}""", "no split \"train\"", "val")]
    [InlineData("""{"task": "vqa", "image_name": "{number}.png", "splits": {"train": {"questions": "q.json"}}}""", "{number}")]
    [InlineData("""{"task": "vqa", "splits": {"train": {"questions": "q.json"}}}""", "data_subtype", "q.json")]
    [InlineData("""{"task": "vqa", """, "dataset.json", "not valid JSON")]
    public void A_wrong_description_is_named(string description, params string[] parts)
    {
        using TemporaryFolder folder = new();
        Errors.Contains(() => Load(folder, description, Questions, Annotations), parts);
    }

    [Theory]
    [InlineData("""{"questions": [{"image_id": 1, "question_id": 7}]}""", "record 0", "\"question\"")]
    [InlineData("""{"questions": [{"image_id": 1, "question": " \t", "question_id": 7}]}""", "question_id 7", "empty question")]
    [InlineData("""{"questions": [{"question": "x", "question_id": 7}]}""", "\"image_id\"")]
    [InlineData("""{"questions": [{"image_id": "one", "question": "x", "question_id": 7}]}""", "\"image_id\"", "whole number")]
    [InlineData(
        """{"questions": [{"image_id": 1, "question": "x", "question_id": 7}, {"image_id": 2, "question": "x", "question_id": 7}]}""",
        "record 1 repeats question_id 7")]
    [InlineData("""{"questions": []}""", "no questions")]
    [InlineData("""{"annotations": []}""", "no array \"questions\"")]
    [InlineData("""{"questions": {}}""", "not an array")]
    [InlineData("""[]""", "object was expected")]
    [InlineData("""{"questions": [3]}""", "a record is not an object")]
    [InlineData("""{"questions": [{"image_id": 1, "question": "x", "question_id": 7}, {"image_id": 1,""", "after record 0")]
    [InlineData("", "q.json", "not valid JSON")]
    public void A_wrong_questions_file_is_named(string questions, params string[] parts)
    {
        using TemporaryFolder folder = new();
        Errors.Contains(() => Load(folder, Description, questions, Annotations), ["q.json", .. parts]);
    }

    [Theory]
    [InlineData("""{"annotations": [{"question_id": 8, "answers": [{"answer": "yes"}]}]}""", "question 8", "not in")]
    [InlineData("""{"annotations": []}""", "no annotation for question 7")]
    [InlineData("""{"annotations": [{"question_id": 7, "answers": []}]}""", "record 0", "\"answers\"")]
    [InlineData("""{"annotations": [{"question_id": 7, "answers": [{"text": "yes"}]}]}""", "record 0", "\"answer\"")]
    [InlineData("""{"annotations": [{"question_id": 7, "answers": [{"answer": 3}]}]}""", "\"answer\"", "not a text")]
    [InlineData("""{"annotations": [{"question_id": 7, "image_id": 2, "answers": ["yes"]}]}""", "picture 2", "picture 1")]
    [InlineData(
        """{"annotations": [{"question_id": 7, "answers": ["yes"]}, {"question_id": 7, "answers": ["no"]}]}""",
        "record 1 repeats question_id 7")]
    [InlineData("""{"annotations": [{"question_id": 7, "answers": ["\ud800"]}]}""", "Unicode")]
    public void A_wrong_annotations_file_is_named(string annotations, params string[] parts)
    {
        using TemporaryFolder folder = new();
        Errors.Contains(() => Load(folder, Description, Questions, annotations), ["a.json", .. parts]);
    }

    [Fact]
    public void A_truncated_gzip_and_a_zip_that_is_none_are_named()
    {
        using TemporaryFolder folder = new();
        string sample = Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa", "data", "questions_val.json.gz");
        byte[] bytes = File.ReadAllBytes(sample);
        File.WriteAllBytes(folder.File("q.json.gz"), bytes[..(bytes.Length / 2)]);
        Errors.Contains(() => Load(folder, Description.Replace("q.json", "q.json.gz"), "", Annotations), "q.json.gz");
        folder.Write("q.zip", "PK not a zip");
        Errors.Contains(() => Load(folder, Description.Replace("q.json", "q.zip"), "", Annotations), "q.zip");
    }

    [Fact]
    public void A_folder_without_a_data_set_says_what_was_looked_for()
    {
        using TemporaryFolder folder = new();
        Errors.Contains(() => VqaDataset.Open(folder.Path), "dataset.json", "v2_OpenEnded_mscoco_train2014_questions.json");
        Errors.Contains(() => VqaDataset.Open(folder.File("none")), "does not exist");
    }

    [Theory]
    [InlineData("""[{"question_id": 1}]""", "record 0", "\"answer\"")]
    [InlineData("""[{"answer": "yes"}]""", "record 0", "question_id")]
    [InlineData("""{"question_id": 1, "answer": "yes"}""", "array of records")]
    public void A_wrong_result_file_is_named(string text, params string[] parts)
    {
        using TemporaryFolder folder = new();
        string file = folder.Write("r.json", text);
        Errors.Contains(() => VqaResults.Read(file), ["r.json", .. parts]);
    }

    /// <summary>Records across the edges of the reader's buffer, and one longer than it.</summary>
    [Fact]
    public void Records_of_any_length_are_read_as_a_stream()
    {
        using TemporaryFolder folder = new();
        StringBuilder json = new("{\"info\": {\"a\": [1, {\"questions\": []}]}, \"questions\": [");
        Random random = new(5);
        string[] texts =
            [.. Enumerable.Range(0, 400).Select(i => new string((char)('a' + (i % 26)), i == 200 ? 300_000 : random.Next(1, 2000)))];
        for (int i = 0; i < texts.Length; i++)
        {
            json.Append(i == 0 ? "" : ",\n").Append($$"""{"question_id": {{i}}, "image_id": {{i / 2}}, "question": "{{texts[i]}}"}""");
        }

        json.Append("], \"data_subtype\": \"late\"}");
        const string WithSubtype =
            """{"task": "vqa", "image_name": "{subtype}_{id:04}.png", "splits": {"train": {"questions": "q.json"}}}""";
        VqaSplit split = Load(folder, WithSubtype, json.ToString(), null);
        Assert.Equal(texts, split.Examples.Select(e => e.Question));
        Assert.Equal("late", split.Subtype);
        Assert.EndsWith("late_0199.png", split.Examples[^1].ImagePath);
        Assert.False(split.HasAnswers);
    }

    private static VqaSplit Load(TemporaryFolder folder, string description, string questions, string? annotations)
    {
        folder.Write("dataset.json", description);
        folder.Write("q.json", questions);
        if (annotations is not null)
        {
            folder.Write("a.json", annotations);
        }

        return VqaDataset.Open(folder.Path).Split("train");
    }
}
