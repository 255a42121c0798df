using System.Collections.Frozen;
using System.Text.RegularExpressions;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>The text of <c>kernels/</c> as it is embedded in this library.</summary>
internal static partial class KernelSources
{
    private const string Root = "kernels/";
    private static readonly FrozenDictionary<string, string> s_texts = ReadAll();

    /// <summary>Paths below kernels/ of the headers: what NVRTC is given beside a file.</summary>
    public static IReadOnlyList<string> Headers { get; } = [.. s_texts.Keys.Where(k => k.EndsWith(".cuh", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    /// <summary>Names of the .cu files, without extension.</summary>
    public static IReadOnlyList<string> Files { get; } =
        [.. s_texts.Keys.Where(k => k.EndsWith(".cu", StringComparison.Ordinal)).Select(k => k[..^3]).Order(StringComparer.Ordinal)];

    /// <summary>The text of a path below kernels/: <c>layernorm.cu</c>, <c>common/prelude.cuh</c>.</summary>
    public static string Text(string path) => s_texts[path];

    /// <summary>The text of a .cu file and of every header that it includes, directly or through another.</summary>
    /// <param name="file">Name of the file, without extension.</param>
    public static IReadOnlyList<string> TextsOf(string file)
    {
        SortedSet<string> seen = new(StringComparer.Ordinal);
        Include($"{file}.cu");
        return [.. seen.Select(Text)];

        void Include(string path)
        {
            if (seen.Add(path))
            {
                foreach (Match include in Includes().Matches(Text(path)))
                {
                    Include(include.Groups[1].Value);
                }
            }
        }
    }

    [GeneratedRegex(@"^\s*#\s*include\s+""([^""]+)""", RegexOptions.Multiline)]
    private static partial Regex Includes();

    private static FrozenDictionary<string, string> ReadAll()
    {
        Dictionary<string, string> texts = [];
        foreach (string name in typeof(KernelSources).Assembly.GetManifestResourceNames())
        {
            if (name.StartsWith(Root, StringComparison.Ordinal))
            {
                using StreamReader reader = new(typeof(KernelSources).Assembly.GetManifestResourceStream(name)!);
                texts.Add(name[Root.Length..], reader.ReadToEnd());
            }
        }

        return texts.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
