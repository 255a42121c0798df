using System.Runtime.InteropServices;
using Xunit;

namespace Dvp.Tests.Ops.Cpu;

/// <summary>
/// A matrix in native memory whose rows stand apart, with sentinels before it, after it and between its rows: a write outside is found,
/// and a read outside shows as NaN in the result.
/// </summary>
internal sealed unsafe class GuardedFloats : IDisposable
{
    private const int Margin = 64;
    private const uint Sentinel = 0x7FC0DEAD;

    private readonly uint* _memory;
    private readonly long _count;

    internal GuardedFloats(int rows, int columns, int stride = 0)
    {
        Rows = rows;
        Columns = columns;
        Stride = stride == 0 ? columns : stride;
        _count = (2 * Margin) + ((long)rows * Stride);
        _memory = (uint*)NativeMemory.AlignedAlloc((nuint)(_count * sizeof(float)), 64);
        new Span<uint>(_memory, checked((int)_count)).Fill(Sentinel);

        // One float off the cache line: nothing may rely on alignment.
        Data = (float*)_memory + Margin + 1;
    }

    ~GuardedFloats() => NativeMemory.AlignedFree(_memory);

    internal int Rows { get; }

    internal int Columns { get; }

    internal int Stride { get; }

    internal float* Data { get; }

    internal float this[int row, int column]
    {
        get => Data[((long)row * Stride) + column];
        set => Data[((long)row * Stride) + column] = value;
    }

    /// <summary>Numbers in (-1, 1), none of them zero.</summary>
    internal GuardedFloats Randomise(Random random)
    {
        for (int i = 0; i < Rows; i++)
        {
            for (int j = 0; j < Columns; j++)
            {
                this[i, j] = (float)((random.NextDouble() * 2) - 1) + 1e-5f;
            }
        }

        return this;
    }

    internal float[] ToArray()
    {
        float[] values = new float[Rows * Columns];
        for (int i = 0; i < Rows; i++)
        {
            new ReadOnlySpan<float>(Data + ((long)i * Stride), Columns).CopyTo(values.AsSpan(i * Columns));
        }

        return values;
    }

    /// <summary>Fails where a sentinel was overwritten.</summary>
    internal void CheckGuards(string name)
    {
        for (long i = 0; i < _count; i++)
        {
            long offset = i - Margin - 1;
            bool inside = offset >= 0 && offset < (long)Rows * Stride && offset % Stride < Columns;
            Assert.True(inside || _memory[i] == Sentinel, $"{name}: element {offset} outside the matrix was overwritten");
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        GC.SuppressFinalize(this);
    }
}
