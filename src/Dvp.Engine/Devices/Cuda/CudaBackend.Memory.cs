using System.Runtime.InteropServices;
using Dvp.Cuda;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Memory of the device and copies between it and the host. Values are converted on the host: the device's types cross the bus.
public sealed unsafe partial class CudaBackend
{
    private const int PieceBytes = 4 << 20;
    private const int ScratchSlots = 4;
    private readonly List<CudaBuffer> _scratchBlocks = [];
    private readonly CudaBuffer?[] _scratch = new CudaBuffer?[ScratchSlots];
    private StagingRing? _staging;
    private PinnedMemory? _received;

    private StagingRing Staging => _staging ??= new StagingRing(_context, _stream, PieceBytes);

    private PinnedMemory Received => _received ??= _context.AllocatePinned(PieceBytes);

    /// <inheritdoc/>
    public override DeviceBuffer Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        return Allocate(bytes, zero: true);
    }

    /// <summary>
    /// Working memory of one operator, with whatever the last one left in it. It only grows, and where it has grown the former block is
    /// kept, because recorded work may still use it.
    /// </summary>
    /// <param name="bytes">Size.</param>
    /// <param name="slot">0 to 3: an operator that calls another one takes a slot that the other does not.</param>
    /// <returns>Address on the device, aligned to 256 bytes, for <see cref="KernelArgument.Address"/>.</returns>
    /// <exception cref="InvalidOperationException">It would have to grow while work is being recorded.</exception>
    internal nint Scratch(long bytes, int slot = 0) => ScratchBuffer(bytes, slot).Address;

    /// <summary>As <see cref="Scratch"/>, for tensors on it.</summary>
    internal DeviceBuffer ScratchBuffer(long bytes, int slot = 0)
    {
        CudaBuffer? block = _scratch[slot];
        if (block is null || block.Bytes < bytes)
        {
            block = Allocate(Math.Max(bytes, Math.Max(1 << 20, 2 * (block?.Bytes ?? 0))), zero: false);
            _scratchBlocks.Add(block);
            _scratch[slot] = block;
        }

        return block;
    }

    /// <inheritdoc/>
    public override void Upload(Tensor destination, ReadOnlySpan<float> source)
    {
        DeviceCopy.RequireFloats(destination, source.Length);
        int size = destination.Type.Size();
        fixed (float* from = source)
        {
            for (int done = 0; done < source.Length;)
            {
                int count = Math.Min(source.Length - done, PieceBytes / size);
                try
                {
                    CpuConvert.FromFloat(NextPiece(count * size, out nint piece), from + done, destination.Type, count);
                    _stream.CopyToDevice(destination.Address + ((nint)done * size), piece, (long)count * size);
                }
                catch (CudaException e)
                {
                    throw CudaFailure.Wrap(e);
                }

                done += count;
            }
        }

        Counters.Uploaded(destination);
    }

    /// <inheritdoc/>
    public override void Upload(Tensor destination, ReadOnlySpan<int> source)
    {
        DeviceCopy.RequireIntegers(destination, source.Length);
        UploadPieces(destination, MemoryMarshal.AsBytes(source));
    }

    /// <inheritdoc/>
    public override void UploadBytes(Tensor destination, ReadOnlySpan<byte> source)
    {
        DeviceCopy.RequireBytes(destination, source.Length);
        UploadPieces(destination, source);
    }

    /// <inheritdoc/>
    public override void Download(Span<float> destination, Tensor source)
    {
        DeviceCopy.RequireRoom(destination.Length, source);
        int size = source.Type.Size();
        fixed (float* first = destination)
        {
            float* to = first;
            for (Pieces pieces = new(source, PieceBytes); pieces.Next();)
            {
                byte* from = ReceivePiece(pieces);
                int count = (int)(pieces.Bytes / size);
                if (source.Type == ElementType.I32)
                {
                    for (int i = 0; i < count; i++)
                    {
                        to[i] = ((int*)from)[i];
                    }
                }
                else
                {
                    CpuConvert.ToFloat(to, from, source.Type, count);
                }

                to += count;
            }
        }

        Counters.Downloaded(source);
    }

    /// <inheritdoc/>
    public override void DownloadBytes(Span<byte> destination, Tensor source)
    {
        DeviceCopy.RequireByteRoom(destination.Length, source);
        int done = 0;
        for (Pieces pieces = new(source, PieceBytes); pieces.Next();)
        {
            new ReadOnlySpan<byte>(ReceivePiece(pieces), (int)pieces.Bytes).CopyTo(destination[done..]);
            done += (int)pieces.Bytes;
        }

        Counters.Downloaded(source);
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
        RequireNotCapturing("waited for");
        try
        {
            _stream.Synchronize();
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }
    }

    private CudaBuffer Allocate(long bytes, bool zero)
    {
        RequireNotCapturing("asked for memory");
        DeviceMemory? memory = null;
        try
        {
            memory = _pool.Allocate(Math.Max(bytes, 1));
            if (zero)
            {
                _stream.Fill(memory.Address, 0, memory.Bytes);
            }

            return new CudaBuffer(memory, bytes, Counters);
        }
        catch (CudaException e)
        {
            memory?.Dispose();
            throw CudaFailure.Allocation(e, bytes, _context);
        }
    }

    private void UploadPieces(Tensor destination, ReadOnlySpan<byte> source)
    {
        for (int done = 0; done < source.Length;)
        {
            int count = Math.Min(source.Length - done, PieceBytes);
            try
            {
                source.Slice(done, count).CopyTo(new Span<byte>(NextPiece(count, out nint piece), count));
                _stream.CopyToDevice(destination.Address + done, piece, count);
            }
            catch (CudaException e)
            {
                throw CudaFailure.Wrap(e);
            }

            done += count;
        }

        Counters.Uploaded(destination);
    }

    private void* NextPiece(int bytes, out nint address)
    {
        RequireNotCapturing("given values");
        Staging.Next(bytes, out address);
        return (void*)address;
    }

    private byte* ReceivePiece(in Pieces piece)
    {
        RequireNotCapturing("asked for values");
        try
        {
            if (piece.Rows == 1)
            {
                _stream.CopyToHost(Received.Address, piece.Address, piece.Bytes);
            }
            else
            {
                _stream.CopyRowsToHost(Received.Address, piece.Address, piece.Width, piece.Rows, piece.Pitch);
            }

            _stream.Synchronize();
            return (byte*)Received.Address;
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }
    }

    private void RequireNotCapturing(string what)
    {
        if (IsCapturing)
        {
            throw new InvalidOperationException($"The device was {what} while work was being recorded; do that before.");
        }
    }

    private void DisposeMemory()
    {
        try
        {
            _stream.Synchronize(); // pinned memory may go only after the copies that use it
        }
        catch (CudaException)
        {
            // The error that lost the device has been thrown where it came up; a lost device copies nothing any more.
        }

        foreach (CudaBuffer block in _scratchBlocks)
        {
            block.Dispose();
        }

        _scratchBlocks.Clear();
        Array.Clear(_scratch);
        _received?.Dispose();
        _staging?.Dispose();
    }

    // A tensor cut into rectangles of at most so many bytes: several whole rows, or a part of one. Without gaps it counts as one long row.
    private ref struct Pieces
    {
        private readonly long _rows;
        private readonly long _rowBytes;
        private readonly nint _start;
        private readonly int _limit;
        private long _row;
        private long _column;

        public Pieces(Tensor tensor, int limit)
        {
            long width = (long)tensor.Columns * tensor.Type.Size();
            (_rows, _rowBytes) = tensor.IsContiguous ? (1, width * tensor.Rows) : (tensor.Rows, width);
            _rows = tensor.Count == 0 ? 0 : _rows;
            Pitch = (long)tensor.RowStride * tensor.Type.Size();
            _start = tensor.Address;
            _limit = limit;
        }

        public long Pitch { get; }

        public nint Address { get; private set; }

        public long Width { get; private set; }

        public long Rows { get; private set; }

        public readonly long Bytes => Width * Rows;

        public bool Next()
        {
            if (_row >= _rows)
            {
                return false;
            }

            Address = _start + (nint)((_row * Pitch) + _column);
            if (_rowBytes > _limit)
            {
                (Width, Rows) = (Math.Min(_limit, _rowBytes - _column), 1);
                _column += Width;
                if (_column == _rowBytes)
                {
                    (_row, _column) = (_row + 1, 0);
                }
            }
            else
            {
                (Width, Rows) = (_rowBytes, Math.Min(_limit / _rowBytes, _rows - _row));
                _row += Rows;
            }

            return true;
        }
    }
}
