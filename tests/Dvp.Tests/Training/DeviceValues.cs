using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Prompting;

namespace Dvp.Tests.Training;

/// <summary>Copies of a device's values.</summary>
internal static class DeviceValues
{
    /// <summary>The elements as the device holds them.</summary>
    public static byte[] Bytes(this Backend backend, Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Count * tensor.Type.Size()];
        backend.DownloadBytes(bytes, tensor);
        return bytes;
    }

    /// <summary>The elements as floats.</summary>
    public static float[] Floats(this Backend backend, Tensor tensor)
    {
        float[] values = new float[tensor.Count];
        backend.Download(values, tensor);
        return values;
    }

    /// <summary>Everything of a model that trains, in the order of its parameters.</summary>
    public static byte[] TrainedBytes(this LoadedDvp loaded)
    {
        using MemoryStream all = new();
        foreach (Parameter parameter in loaded.Parameters.Trained)
        {
            all.Write(loaded.Parameters.Backend.Bytes(parameter.Value));
        }

        return all.ToArray();
    }
}
