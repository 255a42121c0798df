using System.Runtime.InteropServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>Zeroed blocks outside the managed heap, aligned to cache lines, which the system has back as soon as they are freed.</summary>
/// <remarks>
/// glibc keeps what it gets back: the first large block that is freed raises the size from which it asks the system for a mapping, up to
/// 32 MiB, and blocks below that come from one heap that shrinks at its end alone. A process that makes and frees one model after another
/// then holds the memory of several. On Linux large blocks are mappings of our own; pages of them that nobody touches cost nothing.
/// </remarks>
internal static unsafe class HostMemory
{
    /// <summary>Size from which a block is a mapping; freeing needs the size too.</summary>
    private const long LargeBytes = 128 << 10;
    private const nuint Alignment = 64;
    private const int ReadWrite = 1 | 2;
    private const int PrivateAnonymous = 0x02 | 0x20;
    private static readonly delegate* unmanaged<void*, nuint, int, int, int, nint, void*> s_map;
    private static readonly delegate* unmanaged<void*, nuint, int> s_unmap;

    static HostMemory()
    {
        if (OperatingSystem.IsLinux()
            && (NativeLibrary.TryLoad("libc.so.6", out nint library) || NativeLibrary.TryLoad("libc", out library))
            && NativeLibrary.TryGetExport(library, "mmap", out nint map) && NativeLibrary.TryGetExport(library, "munmap", out nint unmap))
        {
            s_map = (delegate* unmanaged<void*, nuint, int, int, int, nint, void*>)map;
            s_unmap = (delegate* unmanaged<void*, nuint, int>)unmap;
        }
    }

    /// <summary>Allocates a block.</summary>
    /// <param name="bytes">Size, 0 or more.</param>
    /// <exception cref="InsufficientMemoryException">The system has no more.</exception>
    public static void* Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        if (s_map is null || bytes < LargeBytes)
        {
            nuint size = (nuint)Math.Max(bytes, 1);
            void* block = NativeMemory.AlignedAlloc(size, Alignment);
            NativeMemory.Clear(block, size);
            return block;
        }

        void* mapping = s_map(null, (nuint)bytes, ReadWrite, PrivateAnonymous, -1, 0);
        return mapping != (void*)-1 ? mapping : throw new InsufficientMemoryException($"The system has no {bytes} bytes of memory.");
    }

    /// <summary>Frees a block of <see cref="Allocate"/>; null is passed over.</summary>
    public static void Free(void* block, long bytes)
    {
        if (s_map is null || bytes < LargeBytes)
        {
            NativeMemory.AlignedFree(block);
        }
        else if (block is not null)
        {
            _ = s_unmap(block, (nuint)bytes);
        }
    }
}
