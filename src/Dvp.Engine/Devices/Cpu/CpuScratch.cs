using System.Runtime.InteropServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// Working memory of one thread, kept and reused: a loop body asks for what it needs, and only a larger request than ever before
/// allocates. One request is live at a time on a thread.
/// </summary>
internal sealed unsafe class CpuScratch
{
    private const nuint Alignment = 64;

    [ThreadStatic]
    private static CpuScratch? s_current;

    private void* _memory;
    private long _bytes;

    private CpuScratch()
    {
    }

    ~CpuScratch()
    {
        NativeMemory.AlignedFree(_memory);
    }

    /// <summary>At least <paramref name="count"/> floats, aligned to cache lines, of undefined contents.</summary>
    internal static float* Floats(long count)
    {
        CpuScratch scratch = s_current ??= new CpuScratch();
        if (scratch._bytes < count * sizeof(float))
        {
            scratch.Grow(count * sizeof(float));
        }

        return (float*)scratch._memory;
    }

    private void Grow(long bytes)
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
        _bytes = 0;
        long size = Math.Max(bytes * 5 / 4, 64 << 10);
        _memory = NativeMemory.AlignedAlloc((nuint)size, Alignment);
        _bytes = size;
    }
}
