namespace Dvp.Benchmarks;

/// <summary>The repository's sample, found above the program.</summary>
internal static class Sample
{
    private const string Folder = "samples/easy-vqa";

    /// <summary>Hugging Face folder of the language model: 12 M parameters, f16.</summary>
    public static string LanguageModel { get; } = Find("language-model");

    /// <summary>Hugging Face folder of the vision model.</summary>
    public static string VisionModel { get; } = Find("vision-model");

    /// <summary>Questions, answers and pictures in the VQA v2.0 format.</summary>
    public static string Data { get; } = Find("data");

    private static string Find(string part)
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string folder = Path.Combine(at.FullName, Folder, part);
            if (Directory.Exists(folder))
            {
                return folder;
            }
        }

        throw new DirectoryNotFoundException($"{Folder}/{part} is not above {AppContext.BaseDirectory}; run the benchmarks in a checkout.");
    }
}
