namespace Dvp.Cuda;

/// <summary>Extents of a grid or of a block. One, two or three numbers convert to it.</summary>
/// <param name="X">Along x.</param>
/// <param name="Y">Along y.</param>
/// <param name="Z">Along z.</param>
public readonly record struct Extents(int X, int Y = 1, int Z = 1)
{
    /// <summary>Product of the three.</summary>
    public long Count => (long)X * Y * Z;

    /// <summary>Along x only.</summary>
    public static implicit operator Extents(int x) => new(x);

    /// <summary>Along x and y.</summary>
    public static implicit operator Extents((int X, int Y) extents) => new(extents.X, extents.Y);

    /// <summary>Along x, y and z.</summary>
    public static implicit operator Extents((int X, int Y, int Z) extents) => new(extents.X, extents.Y, extents.Z);
}

/// <summary>One argument of a launch: up to eight bytes, of which the driver reads as many as the kernel's parameter has.</summary>
/// <param name="Bits">The value, in the low bytes.</param>
public readonly record struct LaunchArgument(ulong Bits)
{
    /// <summary>An int.</summary>
    public static implicit operator LaunchArgument(int value) => new((uint)value);

    /// <summary>A long.</summary>
    public static implicit operator LaunchArgument(long value) => new((ulong)value);

    /// <summary>A float.</summary>
    public static implicit operator LaunchArgument(float value) => new(BitConverter.SingleToUInt32Bits(value));

    /// <summary>A double.</summary>
    public static implicit operator LaunchArgument(double value) => new(BitConverter.DoubleToUInt64Bits(value));

    /// <summary>An address on the device.</summary>
    public static implicit operator LaunchArgument(nint address) => new((ulong)address);

    /// <summary>The address of memory of the device; null for a null pointer.</summary>
    public static implicit operator LaunchArgument(DeviceMemory? memory) => new(memory is null ? 0 : (ulong)memory.Address);
}
