using Dvp.Tests.Training;

namespace Dvp.Tests.Cli;

/// <summary>A data set and two models so small that every command runs on the kernel host in seconds.</summary>
public sealed class TinyExperiment : IDisposable
{
    private readonly TinyRun _tiny = new();

    public TinyExperiment()
    {
        TinyBert bert = new() { Channels = 16, Heads = 2, Intermediate = 32, Layers = 3, Positions = 32, Vocabulary = 2600 };
        bert.Write(LanguageModel);
        foreach (string file in (string[])["vocab.txt", "tokenizer_config.json"])
        {
            File.Copy(Path.Combine(TinyRun.LanguageModel, file), Path.Combine(LanguageModel, file));
        }

        Directory.CreateDirectory(VisionModel);
        foreach (string file in Directory.GetFiles(Fixtures.Path("clip/quick-gelu/model")))
        {
            File.Copy(file, Path.Combine(VisionModel, Path.GetFileName(file)));
        }

        const string Preprocessor = "preprocessor_config.json";
        string settings = File.ReadAllText(Path.Combine(TinyRun.VisionModel, Preprocessor));
        File.WriteAllText(Path.Combine(VisionModel, Preprocessor), settings.Replace(": 64", ": 12", StringComparison.Ordinal)); // pixels of the tower
    }

    public string LanguageModel => _tiny["language-model"];

    public string VisionModel => _tiny["vision-model"];

    public string Data => _tiny.Data;

    public string Picture => Directory.GetFiles(Path.Combine(Data, "images")).Order(StringComparer.Ordinal).First();

    /// <summary>A file or folder of the class's own.</summary>
    public string this[string name] => _tiny[name];

    /// <summary>A command with both models.</summary>
    public string[] Models(string command) => [command, "--language-model", LanguageModel, "--vision-model", VisionModel];

    /// <summary>A command with both models, the data and a run folder.</summary>
    public string[] Experiment(string command, string run) => [.. Models(command), "--data", Data, "--run", this[run]];

    public void Dispose() => _tiny.Dispose();
}
