using System.Runtime.InteropServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// A thread's working memory for matrix products, kept and reused: one area for whole operands that the calling thread prepares, one for
/// the blocks that a body works on. Only a larger request than ever before allocates.
/// </summary>
internal sealed unsafe class GemmScratch
{
    private const nuint Alignment = 64;

    [ThreadStatic]
    private static GemmScratch? t_current;

    private float* _operands;
    private long _operandCount;
    private float* _blocks;
    private long _blockCount;

    private GemmScratch()
    {
    }

    ~GemmScratch()
    {
        NativeMemory.AlignedFree(_operands);
        NativeMemory.AlignedFree(_blocks);
    }

    /// <summary>At least <paramref name="count"/> floats of undefined contents, live until the thread's next call.</summary>
    internal static float* Operands(long count)
    {
        GemmScratch scratch = t_current ??= new GemmScratch();
        Reserve(ref scratch._operands, ref scratch._operandCount, count);
        return scratch._operands;
    }

    /// <summary>As <see cref="Operands"/>, the other area.</summary>
    internal static float* Blocks(long count)
    {
        GemmScratch scratch = t_current ??= new GemmScratch();
        Reserve(ref scratch._blocks, ref scratch._blockCount, count);
        return scratch._blocks;
    }

    private static void Reserve(ref float* memory, ref long capacity, long count)
    {
        if (count > capacity)
        {
            NativeMemory.AlignedFree(memory);
            memory = null;
            capacity = 0;
            long size = Math.Max(count + (count / 4), 4096);
            memory = (float*)NativeMemory.AlignedAlloc((nuint)(size * sizeof(float)), Alignment);
            capacity = size;
        }
    }
}
