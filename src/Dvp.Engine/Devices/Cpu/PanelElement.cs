using System.Runtime.CompilerServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>The storage type of a packed matrix: how a vector of its elements becomes floats.</summary>
internal unsafe interface IPanelElement
{
    /// <summary>Bytes of an element.</summary>
    static abstract int Size { get; }

    /// <summary>The vector of elements that starts at <paramref name="source"/>, as floats.</summary>
    static abstract TVector Load<TSimd, TVector>(byte* source)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct;
}

/// <summary>IEEE 754 binary32.</summary>
internal readonly unsafe struct Float32Element : IPanelElement
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TSimd, TVector>(byte* source)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => TSimd.Load((float*)source);
}

/// <summary>bfloat16: the upper half of a binary32.</summary>
internal readonly unsafe struct BFloat16Element : IPanelElement
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TSimd, TVector>(byte* source)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => TSimd.ShiftLeft(TSimd.LoadWidened((ushort*)source), 16);
}

/// <summary>IEEE 754 binary16, infinities and NaN included.</summary>
internal readonly unsafe struct Float16Element : IPanelElement
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TSimd, TVector>(byte* source)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => TSimd.HalfToSingle(TSimd.LoadWidened((ushort*)source));
}

/// <summary>IEEE 754 binary16 without infinities and NaN.</summary>
internal readonly unsafe struct FiniteFloat16Element : IPanelElement
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TSimd, TVector>(byte* source)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => TSimd.FiniteHalfToSingle(TSimd.LoadSignExtended((short*)source));
}
