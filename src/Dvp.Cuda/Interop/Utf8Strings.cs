using System.Runtime.InteropServices;

namespace Dvp.Cuda.Interop;

/// <summary>Strings as a C function takes them: an array of pointers to zero-terminated UTF-8.</summary>
internal sealed unsafe class Utf8Strings : IDisposable
{
    private readonly int _count;

    internal Utf8Strings(IReadOnlyList<string> texts)
    {
        _count = texts.Count;
        First = (byte**)NativeMemory.AllocZeroed((nuint)Math.Max(_count, 1), (nuint)sizeof(byte*));
        for (int i = 0; i < _count; i++)
        {
            First[i] = (byte*)Marshal.StringToCoTaskMemUTF8(texts[i]);
        }
    }

    /// <summary>The array.</summary>
    internal byte** First { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = 0; i < _count && First is not null; i++)
        {
            Marshal.FreeCoTaskMem((nint)First[i]);
        }

        NativeMemory.Free(First);
        First = null;
    }
}
