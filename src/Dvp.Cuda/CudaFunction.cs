using System.Globalization;
using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>One kernel of a loaded module, and what a launch of it takes.</summary>
public sealed unsafe class CudaFunction
{
    private const int MaxDynamicSharedBytes = 8;
    private readonly CudaContext _context;
    private readonly int[]? _parameterBytes;

    internal CudaFunction(CudaContext context, string name, nint handle)
    {
        _context = context;
        Name = name;
        Handle = handle;
        MaxThreads = Attribute(0);
        SharedBytes = Attribute(1);
        LocalBytes = Attribute(3);
        Registers = Attribute(4);
        _parameterBytes = ReadParameters();
    }

    /// <summary>The kernel's name.</summary>
    public string Name { get; }

    /// <summary>The most threads of a block of this kernel.</summary>
    public int MaxThreads { get; }

    /// <summary>Static shared memory of a block, in bytes.</summary>
    public int SharedBytes { get; }

    /// <summary>Local memory of a thread, in bytes: arrays and spilled registers.</summary>
    public int LocalBytes { get; }

    /// <summary>Registers of a thread.</summary>
    public int Registers { get; }

    /// <summary>Size of each parameter in bytes; null where the driver (before CUDA 12.4) does not tell.</summary>
    public IReadOnlyList<int>? ParameterBytes => _parameterBytes;

    internal nint Handle { get; }

    /// <summary>Lets blocks use all the shared memory that the device has for one; without it a block gets 48 KiB.</summary>
    /// <returns>The dynamic shared memory that a launch may now ask for, in bytes.</returns>
    public int AllowAllSharedMemory()
    {
        int bytes = _context.Info.SharedBytesPerBlock - SharedBytes;
        _context.MakeCurrent();
        _context.ThrowIfFailed(_context.Api.cuFuncSetAttribute(Handle, MaxDynamicSharedBytes, bytes), Name);
        return bytes;
    }

    /// <summary>Blocks of this kernel that fit one multiprocessor at a time.</summary>
    /// <param name="threads">Threads of a block.</param>
    /// <param name="sharedBytes">Dynamic shared memory of a block.</param>
    public int BlocksPerMultiprocessor(int threads, int sharedBytes)
    {
        int blocks;
        _context.MakeCurrent();
        _context.ThrowIfFailed(_context.Api.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Handle, threads, (nuint)sharedBytes), Name);
        return blocks;
    }

    internal void RequireArguments(int count)
    {
        if (_parameterBytes is not null && count != _parameterBytes.Length)
        {
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture, $"{Name} takes {_parameterBytes.Length} arguments and was given {count}."), nameof(count));
        }
    }

    private int Attribute(int attribute)
    {
        int value;
        _context.ThrowIfFailed(_context.Api.cuFuncGetAttribute(&value, attribute, Handle), Name);
        return value;
    }

    private int[]? ReadParameters()
    {
        if (_context.Api.cuFuncGetParamInfo is null)
        {
            return null;
        }

        const int NoSuchParameter = 1; // CUDA_ERROR_INVALID_VALUE
        List<int> sizes = [];
        nuint offset, size;
        for (; ; sizes.Add((int)size))
        {
            int result = _context.Api.cuFuncGetParamInfo(Handle, (nuint)sizes.Count, &offset, &size);
            if (result == NoSuchParameter)
            {
                return [.. sizes];
            }

            _context.ThrowIfFailed(result, Name, nameof(DriverApi.cuFuncGetParamInfo));
        }
    }
}
