using Xunit;

namespace Dvp.Tests.IO;

/// <summary>A file on a disk with little room: at its end it fails as the operating system does.</summary>
public sealed class FullDiskStream(string path, int capacity) : Stream
{
    private readonly FileStream _file = new(path, FileMode.CreateNew, FileAccess.Write);
    private int _room = capacity;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => _file.Length;

    public override long Position { get => _file.Position; set => throw new NotSupportedException(); }

    /// <summary>What a write to a device without room throws here: taken from /dev/full where there is one.</summary>
    public static IOException NoSpace()
    {
        if (!OperatingSystem.IsLinux())
        {
            return new IOException("No space left on device", OperatingSystem.IsWindows() ? unchecked((int)0x80070070) : 28);
        }

        using FileStream full = new("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        return Assert.ThrowsAny<IOException>(() => full.WriteByte(1));
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        _file.Write(buffer[..Math.Min(buffer.Length, _room)]);
        if (buffer.Length > _room)
        {
            throw NoSpace();
        }

        _room -= buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        _file.Flush();
        if (_room == 0)
        {
            throw NoSpace();
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        base.Dispose(disposing);
    }
}
