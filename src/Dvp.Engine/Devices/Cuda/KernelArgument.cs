using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>What a kernel parameter is, as its declaration in the .cu file says.</summary>
internal enum KernelArgumentKind
{
    /// <summary>A device pointer, with the type of its elements.</summary>
    Pointer,

    /// <summary>A 32-bit integer.</summary>
    Int,

    /// <summary>A 64-bit integer.</summary>
    Long,

    /// <summary>A 32-bit float.</summary>
    Float,
}

/// <summary>
/// One argument of a launch: the eight bytes that the driver reads, with what they are, so that a launch can be held against the
/// kernel's declaration. Tensors, integers and floats convert to it.
/// </summary>
internal readonly struct KernelArgument
{
    private KernelArgument(ulong bits, KernelArgumentKind kind, ElementType? element) => (Bits, Kind, Element) = (bits, kind, element);

    /// <summary>The value, in the low bytes.</summary>
    public ulong Bits { get; }

    /// <summary>What the value is.</summary>
    public KernelArgumentKind Kind { get; }

    /// <summary>Element type of what a pointer points to; null for a null pointer and for raw addresses.</summary>
    public ElementType? Element { get; }

    /// <summary>The address of a tensor's first element; null where there is none.</summary>
    public static implicit operator KernelArgument(Tensor? tensor) =>
        new(tensor is null ? 0 : (ulong)tensor.Address, KernelArgumentKind.Pointer, tensor?.Type);

    /// <summary>An int.</summary>
    public static implicit operator KernelArgument(int value) => new((uint)value, KernelArgumentKind.Int, null);

    /// <summary>A long, for counts of elements beyond 2^31.</summary>
    public static implicit operator KernelArgument(long value) => new((ulong)value, KernelArgumentKind.Long, null);

    /// <summary>A float.</summary>
    public static implicit operator KernelArgument(float value) => new(BitConverter.SingleToUInt32Bits(value), KernelArgumentKind.Float, null);

    /// <summary>A device address whose element type is not checked (tables of pointers).</summary>
    public static KernelArgument Address(nint address) => new((ulong)address, KernelArgumentKind.Pointer, null);
}
