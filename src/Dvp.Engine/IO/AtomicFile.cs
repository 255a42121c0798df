using System.Globalization;
using System.Text;

namespace Dvp.Engine.IO;

/// <summary>
/// Files that are whole or not there: written under a temporary name in the same folder, flushed to the disk, renamed over the old one.
/// Whatever happens on the way (an exception, a full disk, a killed process), the earlier file stays as it was.
/// </summary>
public static class AtomicFile
{
    /// <summary>What stands between a file's name and the random part in the name of an unfinished file.</summary>
    internal const string TemporaryMark = ".tmp-";

    /// <summary>Unfinished files of killed processes are removed once nobody has written to them for this long.</summary>
    private static readonly TimeSpan s_abandoned = TimeSpan.FromHours(1);

    /// <summary>Writes a file.</summary>
    /// <param name="path">The file; its folder is made when it is missing. A path under /dev is written directly.</param>
    /// <param name="write">Writes the content to the stream it is given. What it throws passes through; the file is then unchanged.</param>
    /// <exception cref="DvpException">The file cannot be written (disk full, no permission); the earlier file is unchanged.</exception>
    public static void Write(string path, Action<Stream> write) => Write(path, write, Open);

    /// <summary>Writes a text file in UTF-8 without a byte order mark.</summary>
    /// <param name="path">The file; its folder is made when it is missing.</param>
    /// <param name="text">The whole content.</param>
    /// <exception cref="DvpException">The file cannot be written; the earlier file is unchanged.</exception>
    public static void WriteText(string path, string text) => Write(path, stream =>
    {
        using StreamWriter writer = new(stream, new UTF8Encoding(false), leaveOpen: true);
        writer.Write(text);
    });

    /// <summary>The same with the opening of the temporary file given, so that tests can put a failing disk underneath.</summary>
    internal static void Write(string path, Action<Stream> write, Func<string, Stream> open)
    {
        string full = Path.GetFullPath(path);
        if (full.StartsWith("/dev/", StringComparison.Ordinal) && !full.StartsWith("/dev/shm/", StringComparison.Ordinal))
        {
            WriteDirectly(full, write);
            return;
        }

        if (Directory.Exists(full))
        {
            throw new DvpException($"{path} is a folder; give the name of a file.");
        }

        string temporary = full + TemporaryMark + Guid.NewGuid().ToString("N")[..8];
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            RemoveAbandoned(full);
            WriteThrough(temporary, write, open);
            File.Move(temporary, full, overwrite: true);
        }
        catch (Exception e)
        {
            Try(() => File.Delete(temporary));
            if (e is IOException or UnauthorizedAccessException)
            {
                throw WriteError(path, e);
            }

            throw;
        }
    }

    /// <summary>The error for a failed write, with the reason as the user knows it.</summary>
    internal static DvpException WriteError(string path, Exception e) => new(
        IsDiskFull(e)
            ? $"{path} was not written: the disk is full; free some space and try again (an earlier {Path.GetFileName(path)} is unchanged)."
            : string.Create(CultureInfo.InvariantCulture, $"{path} was not written: {e.Message}"),
        e);

    /// <summary>Does something whose failure changes nothing any more: clean-up after an error.</summary>
    internal static void Try(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The first error is the one to show.
        }
    }

    /// <summary>ENOSPC, EDQUOT or EFBIG on Unix; ERROR_DISK_FULL or ERROR_HANDLE_DISK_FULL on Windows.</summary>
    private static bool IsDiskFull(Exception e) => e is IOException
        && (OperatingSystem.IsWindows()
            ? e.HResult is unchecked((int)0x80070070) or unchecked((int)0x80070027)
            : e.HResult is 28 or 122 or 69 or 27);

    private static FileStream Open(string path) => new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);

    private static void WriteThrough(string temporary, Action<Stream> write, Func<string, Stream> open)
    {
        Stream stream = open(temporary);
        try
        {
            write(stream);
            if (stream is FileStream file)
            {
                file.Flush(flushToDisk: true);
            }
            else
            {
                stream.Flush();
            }

            stream.Dispose();
        }
        catch
        {
            Try(stream.Dispose); // a stream that could not write its buffer throws again when it is disposed
            throw;
        }
    }

    private static void WriteDirectly(string path, Action<Stream> write)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            write(stream);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WriteError(path, e);
        }
    }

    /// <summary>Removes what killed processes left of this file: a lock that nobody holds shows that nobody writes.</summary>
    private static void RemoveAbandoned(string full)
    {
        foreach (string left in Directory.EnumerateFiles(Path.GetDirectoryName(full)!, Path.GetFileName(full) + TemporaryMark + "*"))
        {
            Try(() =>
            {
                if (DateTime.UtcNow - File.GetLastWriteTimeUtc(left) > s_abandoned)
                {
                    using (new FileStream(left, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                    {
                        File.Delete(left);
                    }
                }
            });
        }
    }
}
