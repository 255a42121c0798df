using System.IO.Compression;
using Dvp.Engine;

namespace Dvp.Tasks;

/// <summary>Opens a data set's file where it lies: plain, <c>.gz</c>, or inside the <c>.zip</c> it was published in.</summary>
internal static class DataFile
{
    /// <summary>Opens for reading.</summary>
    /// <param name="path">The file.</param>
    /// <param name="entry">The name of the file inside a zip; null takes the only <c>.json</c> in it.</param>
    /// <exception cref="DvpException">Missing, unreadable, or no such entry.</exception>
    public static Stream Open(string path, string? entry = null)
    {
        try
        {
            FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
            return Path.GetExtension(path).ToUpperInvariant() switch
            {
                ".GZ" => new GZipStream(file, CompressionMode.Decompress),
                ".ZIP" => OpenEntry(file, path, entry),
                _ => file,
            };
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new DvpException($"{path} does not exist; check the data folder or its dataset.json.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new DvpException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Whether the zip at <paramref name="path"/> holds a file named <paramref name="entry"/>, in any folder.</summary>
    public static bool ZipHolds(string path, string entry)
    {
        try
        {
            using ZipArchive zip = ZipFile.OpenRead(path);
            return zip.Entries.Any(e => e.Name == entry);
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            return false; // the folder may hold archives that are no business of ours; the one asked for is reported when opened
        }
    }

    private static ZipStream OpenEntry(FileStream file, string path, string? entry)
    {
        ZipArchive zip = new(file, ZipArchiveMode.Read);
        ZipArchiveEntry[] found =
            [.. zip.Entries.Where(e => entry is null ? e.Name.EndsWith(".json", StringComparison.OrdinalIgnoreCase) : e.Name == entry)];
        if (found.Length != 1)
        {
            zip.Dispose();
            throw new DvpException(entry is null
                ? $"{path} holds {found.Length} .json files where one was expected; unpack it and name the file itself."
                : $"{path} holds {found.Length} files named {entry} where one was expected.");
        }

        return new ZipStream(zip, found[0].Open());
    }

    /// <summary>An entry that closes its archive with itself.</summary>
    private sealed class ZipStream(ZipArchive archive, Stream inner) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override int Read(Span<byte> buffer) => inner.Read(buffer);

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                inner.Dispose();
                archive.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
