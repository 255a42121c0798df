using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.IO;

/// <summary>Stored tensors as plain bytes, in parts, whatever kind of set holds them.</summary>
internal static class TensorBytes
{
    private const int PartBytes = 1 << 24;

    /// <summary>Calls back with all bytes of a tensor, in order.</summary>
    public static void ForEachPart(ITensorSet set, string name, Action<ReadOnlySpan<byte>> part)
    {
        ElementType type = set.TypeOf(name);
        long length = TensorShape.Count(set.ShapeOf(name)) * type.Size();
        if (set is IMappedTensors mapped)
        {
            for (long done = 0; done < length; done += PartBytes)
            {
                part(mapped.Bytes(name, done, (int)Math.Min(PartBytes, length - done)));
            }

            return;
        }

        part(InMemory(set, name, type, checked((int)length)));
    }

    /// <summary>Whether two tensors of a set have the same type, shape and bytes.</summary>
    public static bool AreEqual(ITensorSet set, string a, string b)
    {
        if (set.TypeOf(a) != set.TypeOf(b) || !set.ShapeOf(a).SequenceEqual(set.ShapeOf(b)))
        {
            return false;
        }

        ElementType type = set.TypeOf(a);
        long length = TensorShape.Count(set.ShapeOf(a)) * type.Size();
        if (set is not IMappedTensors mapped)
        {
            return InMemory(set, a, type, checked((int)length)).SequenceEqual(InMemory(set, b, type, checked((int)length)));
        }

        for (long done = 0; done < length; done += PartBytes)
        {
            int part = (int)Math.Min(PartBytes, length - done);
            if (!mapped.Bytes(a, done, part).SequenceEqual(mapped.Bytes(b, done, part)))
            {
                return false;
            }
        }

        return true;
    }

    private static byte[] InMemory(ITensorSet set, string name, ElementType type, int length)
    {
        byte[] bytes = new byte[length];
        if (type == ElementType.F64)
        {
            set.ReadDoubles(name, MemoryMarshal.Cast<byte, double>(bytes.AsSpan()));
        }
        else if (type.IsFloat())
        {
            float[] values = new float[length / type.Size()];
            set.ReadFloats(name, values);
            ElementConversion.FromFloats(values, type, bytes);
        }
        else
        {
            ElementConversion.FromInt64(set.ReadInt64(name), type, bytes);
        }

        return bytes;
    }
}
