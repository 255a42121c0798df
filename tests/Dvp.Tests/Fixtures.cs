using System.IO.Compression;
using System.Security.Cryptography;

namespace Dvp.Tests;

/// <summary>
/// The golden files: one zip a family under tests/fixtures, unpacked once per content into the temporary folder. Tests read
/// them there and never write to them.
/// </summary>
public static class Fixtures
{
    private static readonly Lock s_lock = new();

    /// <summary>The root of the repository: the folder that holds Dvp.Kernels.sln.</summary>
    public static string RepositoryRoot { get; } = FindRoot();

    /// <summary>The folder of a family ("bert"), or of a case or file in it ("bert/base").</summary>
    public static string Path(string name)
    {
        string family = name.Split('/')[0];
        string folder = Unpack(family);
        string path = System.IO.Path.Combine(folder, name[family.Length..].TrimStart('/'));
        if (!Directory.Exists(path) && !File.Exists(path))
        {
            throw new FileNotFoundException($"No golden file {name} in tests/fixtures/{family}.zip.");
        }

        return path;
    }

    /// <summary>The case folders of a family, by name: those that hold a case.json.</summary>
    public static IEnumerable<string> Cases(string family) =>
        Directory.GetDirectories(Path(family)).Where(d => File.Exists(System.IO.Path.Combine(d, "case.json")))
            .Select(d => $"{family}/{System.IO.Path.GetFileName(d)}").Order(StringComparer.Ordinal);

    private static string Unpack(string family)
    {
        string zip = System.IO.Path.Combine(RepositoryRoot, "tests", "fixtures", family + ".zip");
        lock (s_lock)
        {
            string hash = Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(zip)))[..16];
            string folder = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "dvp-fixtures", $"{family}-{hash}");
            if (!Directory.Exists(folder))
            {
                string unfinished = folder + "." + Guid.NewGuid().ToString("N");
                ZipFile.ExtractToDirectory(zip, unfinished);
                try
                {
                    Directory.Move(unfinished, folder);
                }
                catch (IOException) when (Directory.Exists(folder))
                {
                    Directory.Delete(unfinished, recursive: true); // another process was first
                }
            }

            return folder;
        }
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? d = new(AppContext.BaseDirectory); d is not null; d = d.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(d.FullName, "Dvp.Kernels.sln")))
            {
                return d.FullName;
            }
        }

        throw new DirectoryNotFoundException("Dvp.Kernels.sln was not found above the test binaries; run the tests from a checkout.");
    }
}
