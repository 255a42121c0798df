namespace Dvp.Engine.IO;

/// <summary>
/// Folders of several files (checkpoints, trained models) that are whole or not there.
/// </summary>
/// <remarks>
/// The new folder is filled as <c>name.tmp-xxxxxxxx</c> and flushed to the disk; the old one is renamed to <c>name.previous</c>, the
/// new one to <c>name</c>, and then <c>name.previous</c> is removed. Whenever the process is killed, either <c>name</c> is there, and
/// whole, or it is not and <c>name.previous</c> is the whole old one; <see cref="Resolve"/> picks it. One process writes a folder at a
/// time, which a lock (<c>name.lock</c>) makes sure of, so unfinished folders found by a writer are what killed processes left, and are
/// removed.
/// </remarks>
public static class AtomicFolder
{
    private const string PreviousSuffix = ".previous";

    /// <summary>Writes a folder.</summary>
    /// <param name="path">The folder; an earlier one is replaced, with everything in it, when the new one is whole.</param>
    /// <param name="fill">Writes the files into the folder it is given. What it throws passes through; nothing is changed then.</param>
    /// <exception cref="DvpException">The folder cannot be written (disk full, no permission, another process writes it).</exception>
    public static void Write(string path, Action<string> fill) => Write(path, fill, _ => { });

    /// <summary>Whether there is a folder to read, be it the previous one.</summary>
    public static bool Exists(string path)
    {
        string full = Full(path);
        return Directory.Exists(full) || Directory.Exists(full + PreviousSuffix);
    }

    /// <summary>The folder to read: <paramref name="path"/>, or the previous one where a writer was killed between its renames.</summary>
    /// <exception cref="DvpException">Neither is there.</exception>
    public static string Resolve(string path)
    {
        string full = Full(path);
        return Directory.Exists(full) ? path
            : Directory.Exists(full + PreviousSuffix) ? Path.TrimEndingDirectorySeparator(path) + PreviousSuffix
            : throw new DvpException(File.Exists(full) ? $"{path} is a file; a folder is needed." : $"The folder {path} does not exist.");
    }

    /// <summary>The same with a call after every step that changes the disk, so that tests can look at each state.</summary>
    internal static void Write(string path, Action<string> fill, Action<string> afterStep)
    {
        string full = Full(path);
        if (File.Exists(full))
        {
            throw new DvpException($"{path} is a file; give the name of a folder.");
        }

        string temporary = full + AtomicFile.TemporaryMark + Guid.NewGuid().ToString("N")[..8];
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            using FileStream held = Lock(path, full + ".lock");
            string unfinished = Path.GetFileName(full) + AtomicFile.TemporaryMark + "*";
            foreach (string left in Directory.GetDirectories(Path.GetDirectoryName(full)!, unfinished))
            {
                Directory.Delete(left, recursive: true);
            }

            Directory.CreateDirectory(temporary);
            afterStep("begun");
            fill(temporary);
            afterStep("filled");
            Flush(temporary);
            Replace(full, temporary, afterStep);
        }
        catch (Exception e)
        {
            AtomicFile.Try(() =>
            {
                if (Directory.Exists(temporary))
                {
                    Directory.Delete(temporary, recursive: true);
                }
            });
            if (e is IOException or UnauthorizedAccessException)
            {
                throw AtomicFile.WriteError(path, e);
            }

            throw;
        }
    }

    private static string Full(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));

    private static FileStream Lock(string path, string lockFile)
    {
        try
        {
            return new FileStream(lockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException e)
        {
            throw new DvpException(
                $"{path} was not written: another process is writing it ({lockFile} is locked); wait or give another folder.", e);
        }
    }

    private static void Replace(string full, string temporary, Action<string> afterStep)
    {
        string previous = full + PreviousSuffix;
        bool replaces = Directory.Exists(full);
        if (replaces)
        {
            // The folder itself is there, so nobody needs what an earlier writer did not come to remove.
            DeleteIfPresent(previous);
            afterStep("cleared");
            Directory.Move(full, previous);
            afterStep("set aside");
        }

        try
        {
            Directory.Move(temporary, full);
        }
        catch when (replaces)
        {
            AtomicFile.Try(() => Directory.Move(previous, full));
            throw;
        }

        afterStep("in place");
        AtomicFile.Try(() => DeleteIfPresent(previous));
        afterStep("done");
    }

    private static void DeleteIfPresent(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Flush(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            using FileStream stream = new(file, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
            stream.Flush(flushToDisk: true);
        }
    }
}
