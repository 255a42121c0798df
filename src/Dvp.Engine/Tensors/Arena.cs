using Dvp.Engine.Devices;

namespace Dvp.Engine.Tensors;

/// <summary>
/// Memory for the tensors of a step. Allocation moves a pointer through fixed chunks, and <see cref="Reset"/> moves it back, so
/// that the same sequence of requests gets the same addresses: a recorded step can be replayed for ever without an allocation.
/// </summary>
/// <remarks>Chunks are never moved or freed before <see cref="Dispose"/>: what was built on them stays valid.</remarks>
public sealed class Arena : IDisposable
{
    private const long Alignment = 256;
    private readonly Backend _backend;
    private readonly List<DeviceBuffer> _chunks = [];
    private readonly long _chunkBytes;
    private int _chunk;
    private long _used;

    /// <summary>Makes an empty arena; memory is asked for when it is needed.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="chunkBytes">Smallest amount asked of the device at a time.</param>
    public Arena(Backend backend, long chunkBytes = 16L << 20)
    {
        _backend = backend;
        _chunkBytes = chunkBytes;
    }

    /// <summary>Bytes held on the device.</summary>
    public long CapacityBytes => _chunks.Sum(c => c.Bytes);

    /// <summary>Allocates a contiguous tensor; its contents are whatever the memory held.</summary>
    public Tensor Allocate(ElementType type, params ReadOnlySpan<int> shape)
    {
        long count = 1;
        foreach (int extent in shape)
        {
            count = checked(count * extent);
        }

        long bytes = (((count * type.Size()) + Alignment - 1) / Alignment * Alignment) + Alignment;
        while (_chunk < _chunks.Count && _used + bytes > _chunks[_chunk].Bytes)
        {
            _chunk++;
            _used = 0;
        }

        if (_chunk == _chunks.Count)
        {
            _chunks.Add(_backend.Allocate(Math.Max(bytes, _chunkBytes)));
        }

        Tensor tensor = new(_chunks[_chunk], _used, type, shape);
        _used += bytes;
        return tensor;
    }

    /// <summary>Starts again at the first address. Tensors handed out before keep their addresses and lose their contents.</summary>
    public void Reset() => (_chunk, _used) = (0, 0);

    /// <summary>Frees all chunks.</summary>
    public void Dispose()
    {
        foreach (DeviceBuffer chunk in _chunks)
        {
            chunk.Dispose();
        }

        _chunks.Clear();
    }
}
