using System.IO.Compression;

namespace Dvp.Engine.IO;

/// <summary>
/// Opens JSON files as data sets publish them: plain, compressed as <c>.gz</c>, or as an entry of a <c>.zip</c>, without unpacking.
/// </summary>
public static class JsonInput
{
    /// <summary>
    /// Opens a file. <c>questions.json</c> stands for that file, <c>questions.json.gz</c>, or an entry of that name in a <c>.zip</c> of the
    /// same folder (<c>questions.zip</c> first; else the only one that has it). A <c>.zip</c> itself stands for its only .json entry,
    /// <c>data.zip/questions.json</c> for one of several.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>The text inside, without a byte order mark; its <see cref="InputStream.Origin"/> says where it was found.</returns>
    /// <exception cref="DvpException">Nothing of the name is there, or more than one archive has it.</exception>
    public static InputStream Open(string path)
    {
        try
        {
            return TryOpen(path) ?? throw new DvpException(NotFound(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new DvpException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Opens a file of a folder, see <see cref="Open(string)"/>.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="name">Name of the file in it.</param>
    public static InputStream Open(string folder, string name) => Open(Path.Combine(folder, name));

    /// <summary>Whether <see cref="Open(string)"/> would find something.</summary>
    public static bool Exists(string path)
    {
        try
        {
            using InputStream? stream = TryOpen(path);
            return stream is not null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or DvpException)
        {
            return true; // it is there; opening it says what is wrong with it
        }
    }

    private static InputStream? TryOpen(string path)
    {
        if (File.Exists(path))
        {
            return IsZip(path) ? OpenEntry(path, null) : OpenFile(path);
        }

        if (File.Exists(path + ".gz"))
        {
            return OpenFile(path + ".gz");
        }

        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (File.Exists(folder))
        {
            return IsZip(folder) ? OpenEntry(folder, Path.GetFileName(path)) : null; // data.zip/questions.json
        }

        return Directory.Exists(folder) ? OpenInArchives(path, folder) : null;
    }

    private static InputStream? OpenInArchives(string path, string folder)
    {
        string name = Path.GetFileName(path);
        string own = Path.Combine(folder, Path.GetFileNameWithoutExtension(name) + ".zip");
        if (File.Exists(own) && HasEntry(own, name))
        {
            return OpenEntry(own, name);
        }

        List<string> archives = [];
        DvpException? damaged = null;
        foreach (string archive in Directory.EnumerateFiles(folder, "*.zip").Order(StringComparer.Ordinal))
        {
            try
            {
                if (HasEntry(archive, name))
                {
                    archives.Add(archive);
                }
            }
            catch (DvpException e)
            {
                damaged = e; // matters only where no other archive has the file
            }
        }

        return archives.Count switch
        {
            0 => damaged is null ? null : throw damaged,
            1 => OpenEntry(archives[0], name),
            _ => throw new DvpException($"{path} is in several archives ({string.Join(", ", archives.Select(a => Path.GetFileName(a)))}); "
                + $"say which: {Path.GetFileName(archives[0])}/{name}."),
        };
    }

    private static InputStream OpenFile(string path)
    {
        FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 16, FileOptions.SequentialScan);
        try
        {
            Span<byte> magic = stackalloc byte[2];
            bool compressed = file.ReadAtLeast(magic, 2, throwOnEndOfStream: false) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
            if (!compressed && path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
            {
                throw new DvpException($"{path} is not a gzip file, or is truncated; get it again.");
            }

            file.Position = 0;
            return compressed
                ? new InputStream(new GZipStream(file, CompressionMode.Decompress), null, path, n => GzipTrailer.IsConsistent(path, n))
                : new InputStream(file, null, path);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static InputStream OpenEntry(string archivePath, string? name)
    {
        ZipArchive archive = OpenArchive(archivePath);
        try
        {
            ZipArchiveEntry[] entries = [.. Entries(archive, name)];
            if (entries.Length != 1)
            {
                string[] all = [.. Entries(archive, null).Select(e => e.FullName)];
                string what = name is null ? "one .json entry is needed"
                    : entries.Length == 0 ? $"{name} is there not at all"
                    : $"{name} is there more than once";
                string has = all.Length == 0 ? "no .json entries" : string.Join(", ", all);
                throw new DvpException($"{archivePath}: {what}; the archive has {has}.");
            }

            long length = entries[0].Length;
            return new InputStream(entries[0].Open(), archive, $"{archivePath}/{entries[0].FullName}", count => count == length);
        }
        catch
        {
            archive.Dispose();
            throw;
        }
    }

    private static ZipArchive OpenArchive(string path)
    {
        try
        {
            return ZipFile.OpenRead(path);
        }
        catch (InvalidDataException e)
        {
            throw new DvpException($"{path} is not a zip archive, or is truncated; get it again.", e);
        }
    }

    private static bool HasEntry(string archivePath, string name)
    {
        using ZipArchive archive = OpenArchive(archivePath);
        return Entries(archive, name).Any();
    }

    /// <summary>Entries of a name (in any folder of the archive), or all .json entries; not the resource forks that macOS adds.</summary>
    private static IEnumerable<ZipArchiveEntry> Entries(ZipArchive archive, string? name) => archive.Entries.Where(e =>
        !e.FullName.StartsWith("__MACOSX/", StringComparison.Ordinal)
        && (name is null ? e.Name.EndsWith(".json", StringComparison.OrdinalIgnoreCase) : e.Name == name || e.FullName == name));

    private static bool IsZip(string path) => path.EndsWith(".zip", StringComparison.OrdinalIgnoreCase);

    private static string NotFound(string path)
    {
        string name = Path.GetFileName(path);
        return $"{path} does not exist, nor does {name}.gz or a .zip beside it that contains {name}.";
    }
}
