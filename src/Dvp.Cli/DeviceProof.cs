using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;

namespace Dvp.Cli;

/// <summary>The part of a JSON result that shows which device did the work.</summary>
internal static class DeviceProof
{
    /// <summary>Writes name, launches and bytes as <c>"device"</c>; of a GPU also where its kernels came from.</summary>
    public static void Write(Utf8JsonWriter json, Backend backend) => Write(json, backend.Name, backend.Counters, backend as CudaBackend);

    /// <summary>The same of a device that has done its work, or with its kernels of a GPU that is still open.</summary>
    public static void Write(Utf8JsonWriter json, string name, DeviceCounters work, CudaBackend? gpu)
    {
        json.WriteStartObject("device");
        json.WriteString("name", name);
        json.WriteNumber("launches", work.Launches);
        json.WriteNumber("uploads", work.Uploads);
        json.WriteNumber("downloads", work.Downloads);
        json.WriteNumber("bytes_copied", work.BytesCopied);
        json.WriteNumber("bytes_allocated", work.BytesAllocated);
        json.WriteNumber("peak_bytes_allocated", work.PeakBytesAllocated);
        if (gpu is not null)
        {
            json.WriteNumber("graph_launches", work.GraphLaunches);
            Write(json, gpu.Origins);
        }

        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, KernelOrigins origins)
    {
        json.WriteStartObject("kernel_files");
        json.WriteNumber("built_beforehand", origins.Bundle);
        json.WriteNumber("from_cache", origins.Cache);
        json.WriteNumber("compiled", origins.Compiled);
        json.WriteNumber("as_ptx", origins.Portable);
        json.WriteBoolean("compiler_loaded", origins.CompilerLoaded);
        json.WriteEndObject();
    }
}
