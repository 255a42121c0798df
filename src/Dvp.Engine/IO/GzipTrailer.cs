using System.Buffers.Binary;

namespace Dvp.Engine.IO;

/// <summary>Tells a whole gzip file from one that was cut off, which the decompressor reads to its end without a word.</summary>
internal static class GzipTrailer
{
    private const int HeaderLength = 10;
    private const int TrailerLength = 8;

    /// <summary>
    /// Whether the last four bytes of a file are the length of what it gave, modulo 2^32 (RFC 1952, ISIZE). They count the last member
    /// only, so a file of several members passes without this check.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="count">Number of decompressed bytes.</param>
    public static bool IsConsistent(string path, long count)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        if (file.Length < HeaderLength + TrailerLength)
        {
            return false;
        }

        Span<byte> size = stackalloc byte[4];
        file.Seek(-4, SeekOrigin.End);
        file.ReadExactly(size);
        return BinaryPrimitives.ReadUInt32LittleEndian(size) == (uint)count || HasSecondMember(file);
    }

    /// <summary>Whether a member's header (magic, method 8, known flags, compression level and system) stands after the start.</summary>
    private static bool HasSecondMember(FileStream file)
    {
        byte[] buffer = new byte[1 << 20];
        int kept = 0;
        bool start = true;
        file.Position = 0;
        while (true)
        {
            int length = kept + file.Read(buffer, kept, buffer.Length - kept);
            if (length == kept)
            {
                return false;
            }

            for (int i = start ? 1 : 0; i <= length - HeaderLength; i++)
            {
                if (buffer[i] == 0x1f && buffer[i + 1] == 0x8b && buffer[i + 2] == 8 && buffer[i + 3] < 0x20
                    && buffer[i + 8] is 0 or 2 or 4 && buffer[i + 9] is <= 13 or 255)
                {
                    return true;
                }
            }

            start = false;
            kept = Math.Min(length, HeaderLength - 1);
            buffer.AsSpan(length - kept, kept).CopyTo(buffer);
        }
    }
}
