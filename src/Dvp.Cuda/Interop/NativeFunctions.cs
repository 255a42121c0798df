using System.Runtime.InteropServices;

namespace Dvp.Cuda.Interop;

/// <summary>Looks the functions of a loaded library up by name.</summary>
/// <param name="Library">The library's handle.</param>
/// <param name="File">What it was loaded as; for messages.</param>
/// <param name="Mend">What to do when a function is missing.</param>
internal readonly record struct NativeFunctions(nint Library, string File, string Mend)
{
    /// <summary>Address of a function that must be there.</summary>
    /// <exception cref="CudaException">The library does not have it.</exception>
    internal nint Require(string name) =>
        NativeLibrary.TryGetExport(Library, name, out nint address) ? address
        : throw CudaException.Missing(name, $"{File} has no function {name}.", Mend);

    /// <summary>Address of a function that newer libraries have; 0 where it is missing.</summary>
    internal nint Find(string name) => NativeLibrary.TryGetExport(Library, name, out nint address) ? address : 0;
}
