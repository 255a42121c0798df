using System.Text.Json;
using Dvp.Tasks.Vqa;
using Xunit;

namespace Dvp.Tests.Cli;

/// <summary>A few pictures and questions of the sample, and one short quickstart on them that the tests of a class share.</summary>
public sealed class TinyRun : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("dvp-tiny-").FullName;
    private readonly Lazy<JsonElement> _result;

    public TinyRun()
    {
        WriteData(Data);
        _result = new Lazy<JsonElement>(() =>
        {
            ToolRun run = Tool.Run([.. Arguments("quickstart", "run"), .. Settings, "--json"]);
            Assert.True(run.Code == 0, run.Error);
            return run.Json;
        });
    }

    public static string Sample { get; } = Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa");

    public static string LanguageModel => Path.Combine(Sample, "language-model");

    public static string VisionModel => Path.Combine(Sample, "vision-model");

    /// <summary>The settings of that quickstart.</summary>
    public static string[] Settings => ["--steps", "4", "--batch", "4", "--search-steps", "2", "--evaluate-every", "2"];

    public string Data => Path.Combine(_root, "data");

    /// <summary>What <c>quickstart --json</c> printed.</summary>
    public JsonElement Result => _result.Value;

    /// <summary>The folder of its run.</summary>
    public string Run => Result.GetProperty("run").GetString()!;

    public string Dvp => Path.Combine(Run, "dvp");

    public string this[string name] => Path.Combine(_root, name);

    /// <summary>A command on the data with both models and a run folder.</summary>
    public string[] Arguments(string command, string run) =>
        [command, "--language-model", LanguageModel, "--vision-model", VisionModel, "--data", Data, "--run", this[run], "--threads", "2"];

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static void WriteData(string folder)
    {
        VqaDataset sample = VqaDataset.Open(Path.Combine(Sample, "data"));
        Directory.CreateDirectory(Path.Combine(folder, "images"));
        File.Copy(Path.Combine(Sample, "data", "dataset.json"), Path.Combine(folder, "dataset.json"));
        foreach ((string name, int count) in new[] { ("train", 24), ("val", 8), ("test", 10) })
        {
            VqaExample[] examples = [.. sample.Split(name).Examples.Take(count)];
            foreach (string picture in examples.Select(e => e.ImagePath).Distinct())
            {
                File.Copy(picture, Path.Combine(folder, "images", Path.GetFileName(picture)));
            }

            Write(
                Path.Combine(folder, $"questions_{name}.json"),
                name,
                "questions",
                examples,
                (json, e) => json.WriteString("question", e.Question));
            Write(Path.Combine(folder, $"annotations_{name}.json"), name, "annotations", examples, WriteAnswers);
        }

        string description = Path.Combine(folder, "dataset.json");
        File.WriteAllText(description, File.ReadAllText(description).Replace(".json.gz", ".json", StringComparison.Ordinal));
    }

    private static void WriteAnswers(Utf8JsonWriter json, VqaExample example)
    {
        json.WriteString("question_type", example.QuestionType);
        json.WriteString("answer_type", example.AnswerType);
        json.WriteString("multiple_choice_answer", example.MajorityAnswer);
        json.WriteStartArray("answers");
        for (int i = 0; i < example.Answers.Count; i++)
        {
            json.WriteStartObject();
            json.WriteString("answer", example.Answers[i]);
            json.WriteNumber("answer_id", i + 1);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Write(string path, string subtype, string list, VqaExample[] examples, Action<Utf8JsonWriter, VqaExample> write)
    {
        using FileStream stream = File.Create(path);
        using Utf8JsonWriter json = new(stream);
        json.WriteStartObject();
        json.WriteString("data_subtype", subtype);
        json.WriteStartArray(list);
        foreach (VqaExample example in examples)
        {
            json.WriteStartObject();
            json.WriteNumber("image_id", example.ImageId);
            json.WriteNumber("question_id", example.QuestionId);
            write(json, example);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }
}
