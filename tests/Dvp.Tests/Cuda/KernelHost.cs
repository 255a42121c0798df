using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace Dvp.Tests.Cuda;

/// <summary>
/// The kernel host of tests/Dvp.KernelHost, built once per content of its sources into the temporary folder. Tests that use it carry
/// <c>[Requires(Capability.KernelHost)]</c>.
/// </summary>
public static class KernelHost
{
    private static readonly Lazy<string> s_folder = new(Build);
    private static readonly ConcurrentDictionary<string, Lazy<string>> s_modes = new();

    /// <summary>The folder with libcuda.so.1 and libnvrtc.so.13, without any mode: what DVP_CUDA_DRIVER and DVP_NVRTC may name.</summary>
    public static string Folder => s_folder.Value;

    /// <summary>The driver library in <see cref="Folder"/>.</summary>
    public static string Driver => Path.Combine(Folder, "libcuda.so.1");

    /// <summary>The compiler library in <see cref="Folder"/>.</summary>
    public static string Nvrtc => Path.Combine(Folder, "libnvrtc.so.13");

    /// <summary>
    /// A copy of the host that always runs in a mode (<c>check</c>, <c>late,permute</c>, <c>fail=alloc:17</c>, see the host's README). A copy
    /// is a library of its own: its errors, counts and memory are apart from those of every other copy in the process.
    /// </summary>
    /// <param name="mode">The mode.</param>
    /// <param name="copy">Names one of several copies with the same mode.</param>
    public static string FolderFor(string mode, string copy = "") =>
        s_modes.GetOrAdd($"{mode}\n{copy}", _ => new Lazy<string>(() => MakeCopy(mode))).Value;

    private static string MakeCopy(string mode)
    {
        string folder = Path.Combine(Folder, "modes", Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(folder);
        foreach (string file in (string[])["libcuda.so.1", "libnvrtc.so.13"])
        {
            File.Copy(Path.Combine(Folder, file), Path.Combine(folder, file));
        }

        Directory.CreateSymbolicLink(Path.Combine(folder, "include"), Path.Combine(Folder, "include"));
        File.WriteAllText(Path.Combine(folder, "mode"), mode + "\n");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return folder;
    }

    private static string Build()
    {
        string sources = Path.Combine(Fixtures.RepositoryRoot, "tests", "Dvp.KernelHost");
        string folder = Path.Combine(Path.GetTempPath(), "dvp-kernel-host", HashOf(sources));
        Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
        using FileStream turn = WaitForTurn(folder + ".lock");
        if (Directory.Exists(folder))
        {
            return folder;
        }

        string unfinished = folder + "." + Guid.NewGuid().ToString("N");
        ProcessStartInfo start = new("bash", [Path.Combine(sources, "build.sh"), unfinished]) { RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"tests/Dvp.KernelHost/build.sh failed:\n{errors}");
        }

        Directory.Move(unfinished, folder);
        return folder;
    }

    // One process builds; the others find what it has built.
    private static FileStream WaitForTurn(string file)
    {
        for (Stopwatch waited = Stopwatch.StartNew(); ; Thread.Sleep(100))
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (waited.Elapsed < TimeSpan.FromMinutes(10))
            {
            }
        }
    }

    private static string HashOf(string folder)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetRelativePath(folder, file)));
            hash.AppendData(File.ReadAllBytes(file));
        }

        return Convert.ToHexString(hash.GetHashAndReset())[..16];
    }
}
