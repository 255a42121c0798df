namespace Dvp.Cuda;

/// <summary>
/// Pinned memory through which values pass on their way to the device: the caller fills a piece and queues its copy, and gets the next
/// piece without waiting until the ring comes round to memory whose copy has not run yet.
/// </summary>
public sealed class StagingRing : IDisposable
{
    private const int Segments = 4;
    private const int Alignment = 256;
    private readonly CudaStream _stream;
    private readonly PinnedMemory _memory;
    private readonly CudaEvent[] _copied = new CudaEvent[Segments];
    private readonly bool[] _pending = new bool[Segments];
    private int _segment;
    private int _used;

    /// <summary>Allocates the ring.</summary>
    /// <param name="context">The device.</param>
    /// <param name="stream">The stream that the copies are queued in.</param>
    /// <param name="pieceBytes">The largest piece, in bytes; the ring has four times as much.</param>
    public StagingRing(CudaContext context, CudaStream stream, int pieceBytes)
    {
        _stream = stream;
        PieceBytes = (pieceBytes + Alignment - 1) / Alignment * Alignment;
        _memory = context.AllocatePinned((long)PieceBytes * Segments);
        try
        {
            for (int i = 0; i < Segments; i++)
            {
                _copied[i] = context.CreateEvent(timing: false);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The largest piece, in bytes.</summary>
    public int PieceBytes { get; }

    /// <summary>Gets memory to fill; it is the caller's until the next call.</summary>
    /// <param name="bytes">Size, at most <see cref="PieceBytes"/>.</param>
    /// <param name="address">Address on the host, for the copy.</param>
    public Span<byte> Next(int bytes, out nint address)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, PieceBytes);
        if (_used + bytes > PieceBytes)
        {
            // The copies of this segment are queued by now: the mark behind them says when it can be filled again.
            _stream.Record(_copied[_segment]);
            _pending[_segment] = true;
            _segment = (_segment + 1) % Segments;
            _used = 0;
            if (_pending[_segment])
            {
                _copied[_segment].Synchronize();
                _pending[_segment] = false;
            }
        }

        long offset = ((long)_segment * PieceBytes) + _used;
        _used += (bytes + Alignment - 1) / Alignment * Alignment;
        address = _memory.Address + (nint)offset;
        return _memory.Span(offset, bytes);
    }

    /// <summary>Frees the ring; its copies must have run.</summary>
    public void Dispose()
    {
        foreach (CudaEvent? mark in _copied)
        {
            mark?.Dispose();
        }

        _memory.Dispose();
    }
}
