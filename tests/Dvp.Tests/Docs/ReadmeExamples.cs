using System.Runtime.CompilerServices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Experiments;
using Dvp.Prompting;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Docs;

/// <summary>The README's library examples: the code between the marks is compiled and run here, and must stand in the README word for word.</summary>
public sealed class ReadmeExamples
{
    [Fact]
    public void Training_and_answering_work_as_the_README_shows_them()
    {
        using TemporaryFolder temporary = new();
        string sample = Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa"), run = temporary.Root;
        Train(sample, run);
        string answer = Ask(sample, run);
        Assert.Contains(answer, Answers(run));
    }

    [Theory]
    [InlineData("train")]
    [InlineData("answer")]
    public void The_README_shows_this_very_code(string example)
    {
        string[] code = Example(example, ThisFile());
        Assert.True(code.Length > 3, $"The example {example} is empty.");
        string readme = File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, "README.md")).ReplaceLineEndings("\n");
        Assert.Contains(string.Join('\n', code), readme, StringComparison.Ordinal);
    }

    private static void Train(string sample, string run)
    {
        // README: train
        using CpuBackend backend = new();
        Preset preset = Preset.Sample with { Train = Preset.Sample.Train with { Steps = 30 } }; // a taste of the recipe's 700
        using VqaExperiment experiment = VqaExperiment.Open(ExperimentPaths.InFolder(sample), backend, preset, $"{run}/features");
        using TrainedRun training = experiment.Training(PromptKind.Dynamic, layer: 4);
        training.Trainer.OnProgress = p => Console.WriteLine($"step {p.Step}: loss {p.Loss:F3}");
        training.Trainer.Train(layer: 4);
        training.Loaded.Save($"{run}/dvp");
        // README: end
    }

    private static string Ask(string sample, string run)
    {
        // README: answer
        using DvpModel model = DvpModel.Load($"{sample}/language-model", $"{sample}/vision-model", $"{run}/dvp");
        string picture = $"{sample}/data/images/easy_test_000000000000.png";
        Prediction prediction = model.Answer(picture, "what shape is in the image?");
        Console.WriteLine($"{prediction.Answers[0].Text} ({prediction.Answers[0].Probability:P0})");
        // README: end
        return prediction.Answers[0].Text;
    }

    private static IReadOnlyList<string> Answers(string run) => DvpConfig.Load(Path.Combine(run, "dvp")).Answers;

    private static string[] Example(string name, string file) =>
        [.. File.ReadLines(file).SkipWhile(l => l.Trim() != $"// README: {name}").Skip(1).TakeWhile(l => l.Trim() != "// README: end").Select(l => l.Trim())];

    private static string ThisFile([CallerFilePath] string path = "") => File.Exists(path)
        ? path
        : Path.Combine(Fixtures.RepositoryRoot, "tests", "Dvp.Tests", "Docs", "ReadmeExamples.cs");
}
