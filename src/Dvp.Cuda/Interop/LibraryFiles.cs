using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Dvp.Cuda.Interop;

/// <summary>Finds and loads a native library by name, by file or by folder.</summary>
internal static class LibraryFiles
{
    /// <summary>What to try, best first: each name where the loader looks it up, then where it lies in the folders.</summary>
    /// <param name="given">A file, or a folder that holds one of the names; null for the usual places.</param>
    /// <param name="names">The file names that the library may have, best first.</param>
    /// <param name="folders">Folders that are searched after the loader's own places.</param>
    internal static IReadOnlyList<string> Candidates(string? given, IReadOnlyList<string> names, IEnumerable<string> folders)
    {
        if (given is not null && !Directory.Exists(given))
        {
            return [Path.GetFullPath(given)];
        }

        return given is not null
            ? [.. names.Select(n => Path.Combine(Path.GetFullPath(given), n))]
            : [.. names.SelectMany(n => folders.Select(f => Path.Combine(f, n)).Where(File.Exists).Prepend(n))];
    }

    /// <summary>Loads the first candidate that can be loaded.</summary>
    /// <param name="candidates">What to try.</param>
    /// <param name="tried">Gets a line for every candidate.</param>
    /// <param name="handle">The library.</param>
    /// <returns>The candidate that was loaded, or null.</returns>
    internal static string? Load(IReadOnlyList<string> candidates, List<string> tried, out nint handle)
    {
        foreach (string candidate in candidates)
        {
            try
            {
                handle = NativeLibrary.Load(candidate);
                tried.Add($"{candidate}: loaded");
                return candidate;
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
            {
                bool there = Path.IsPathRooted(candidate) && File.Exists(candidate);
                tried.Add(there ? $"{candidate}: {FirstLine(e.Message)}" : $"{candidate}: not found");
            }
        }

        handle = 0;
        return null;
    }

    /// <summary>The file behind a library that is loaded already; the name itself where it cannot be told.</summary>
    internal static string PathOfLoaded(string name)
    {
        if (Path.IsPathRooted(name))
        {
            return name;
        }

        using Process process = Process.GetCurrentProcess();
        foreach (ProcessModule module in process.Modules)
        {
            if (module.FileName is { } file && Path.GetFileName(file).StartsWith(name, StringComparison.OrdinalIgnoreCase))
            {
                return file;
            }
        }

        return LinkedPath(name) ?? name;
    }

    // libnvrtc.so.13 is usually a link to libnvrtc.so.13.0.88, and the process lists the target, whose name starts with the link's; other
    // links are looked up where the loader would.
    private static string? LinkedPath(string name)
    {
        string[] folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/cuda/lib64"];
        return folders.Select(f => Path.Combine(f, name)).FirstOrDefault(File.Exists);
    }

    private static string FirstLine(string text)
    {
        int end = text.IndexOf('\n', StringComparison.Ordinal);
        return end < 0 ? text : text[..end];
    }
}
