using System.Runtime.CompilerServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>An activation as a type, so that a loop is compiled with it inside.</summary>
internal interface IActivationFunction
{
    /// <summary>The value.</summary>
    static abstract TVector Invoke<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct;
}

/// <summary>See <see cref="Activation.Relu"/>.</summary>
internal readonly struct ReluFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Invoke<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => VectorMath.Relu<TSimd, TVector>(x);
}

/// <summary>See <see cref="Activation.GeluErf"/>.</summary>
internal readonly struct GeluErfFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Invoke<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => VectorMath.GeluErf<TSimd, TVector>(x);
}

/// <summary>See <see cref="Activation.GeluTanh"/>.</summary>
internal readonly struct GeluTanhFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Invoke<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => VectorMath.GeluTanh<TSimd, TVector>(x);
}

/// <summary>See <see cref="Activation.QuickGelu"/>.</summary>
internal readonly struct QuickGeluFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Invoke<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => VectorMath.QuickGelu<TSimd, TVector>(x);
}

/// <summary>See <see cref="Activation.Silu"/>.</summary>
internal readonly struct SiluFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Invoke<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => VectorMath.Silu<TSimd, TVector>(x);
}

/// <summary>See <see cref="Activation.Tanh"/>.</summary>
internal readonly struct TanhFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Invoke<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => VectorMath.Tanh<TSimd, TVector>(x);
}
