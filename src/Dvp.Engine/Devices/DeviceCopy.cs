using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices;

/// <summary>What copies between host and device demand, whatever the device: one that does not fit is a programming error and named as one.</summary>
internal static class DeviceCopy
{
    /// <summary>Fails unless so many floats fill a tensor of 32 or 16-bit floats without gaps.</summary>
    /// <exception cref="ArgumentException">They do not fill it, or it holds something else.</exception>
    public static void RequireFloats(Tensor destination, int count)
    {
        RequireValues(destination, count);
        if (destination.Type is not (ElementType.F32 or ElementType.BF16 or ElementType.F16))
        {
            throw new ArgumentException($"Floats cannot be copied to {destination}.", nameof(destination));
        }
    }

    /// <summary>Fails unless so many integers fill a tensor of integers without gaps.</summary>
    /// <exception cref="ArgumentException">They do not fill it, or it holds something else.</exception>
    public static void RequireIntegers(Tensor destination, int count)
    {
        RequireValues(destination, count);
        if (destination.Type != ElementType.I32)
        {
            throw new ArgumentException($"Integers cannot be copied to {destination}.", nameof(destination));
        }
    }

    /// <summary>Fails unless so many bytes fill a tensor without gaps.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    public static void RequireBytes(Tensor destination, int bytes)
    {
        if (!destination.IsContiguous || bytes != destination.Count * destination.Type.Size())
        {
            throw new ArgumentException($"{bytes} bytes do not fill {destination} without gaps.", nameof(destination));
        }
    }

    /// <summary>Fails unless so many floats hold a tensor.</summary>
    /// <exception cref="ArgumentException">They are more or fewer.</exception>
    public static void RequireRoom(int floats, Tensor source)
    {
        if (floats != source.Count)
        {
            throw new ArgumentException($"{floats} floats cannot hold {source}.", nameof(floats));
        }
    }

    /// <summary>Fails unless so many bytes hold a tensor without gaps.</summary>
    /// <exception cref="ArgumentException">They are more or fewer, or it has gaps.</exception>
    public static void RequireByteRoom(int bytes, Tensor source)
    {
        if (!source.IsContiguous || bytes != source.Count * source.Type.Size())
        {
            throw new ArgumentException($"{bytes} bytes cannot hold {source}, or it has gaps.", nameof(bytes));
        }
    }

    private static void RequireValues(Tensor destination, int count)
    {
        if (!destination.IsContiguous || count != destination.Count)
        {
            throw new ArgumentException($"{count} values do not fill {destination} without gaps.", nameof(destination));
        }
    }
}
