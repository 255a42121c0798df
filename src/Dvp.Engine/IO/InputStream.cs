namespace Dvp.Engine.IO;

/// <summary>A stream that knows where its text comes from, and whose errors name it.</summary>
public sealed class InputStream : Stream
{
    private readonly Stream _inner;
    private readonly IDisposable? _owner;
    private readonly Func<long, bool>? _isWhole;
    private readonly byte[] _first = new byte[3];
    private int _firstStart;
    private int _firstEnd;
    private long _count;

    /// <summary>Wraps a stream.</summary>
    /// <param name="inner">The stream; disposed with this one.</param>
    /// <param name="owner">What else is disposed with it.</param>
    /// <param name="origin">Where the text comes from.</param>
    /// <param name="isWhole">Asked at the end with the number of bytes: decompressors end in silence where data is cut off.</param>
    internal InputStream(Stream inner, IDisposable? owner, string origin, Func<long, bool>? isWhole = null)
    {
        _isWhole = isWhole;
        _inner = inner;
        _owner = owner;
        Origin = origin;
        try
        {
            _firstEnd = _inner.ReadAtLeast(_first, 3, throwOnEndOfStream: false);
            _count = _firstEnd;
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            Dispose();
            throw Damaged(e);
        }

        if (_first is [0xef, 0xbb, 0xbf] && _firstEnd == 3)
        {
            _firstEnd = 0; // byte order mark
        }
    }

    /// <summary>The file, and the entry where it is an archive: "annotations.zip/train.json".</summary>
    public string Origin { get; }

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        if (_firstStart < _firstEnd)
        {
            int count = Math.Min(buffer.Length, _firstEnd - _firstStart);
            _first.AsSpan(_firstStart, count).CopyTo(buffer);
            _firstStart += count;
            return count;
        }

        try
        {
            int count = _inner.Read(buffer);
            _count += count;
            return count > 0 || buffer.IsEmpty || _isWhole is null || _isWhole(_count)
                ? count
                : throw new InvalidDataException("it ends too early");
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw Damaged(e);
        }
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Flush()
    {
        // Nothing is written.
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _inner.Dispose();
            _owner?.Dispose();
        }

        base.Dispose(disposing);
    }

    private DvpException Damaged(Exception e) => new($"{Origin} is damaged or truncated ({e.Message.TrimEnd('.')}); get it again.", e);
}
