using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;

namespace Dvp.Cli;

/// <summary>The part of a JSON result that shows which device did the work.</summary>
internal static class DeviceProof
{
    /// <summary>Writes name, launches and bytes as <c>"device"</c>; of a GPU also where its kernels came from.</summary>
    public static void Write(Utf8JsonWriter json, Backend backend)
    {
        json.WriteStartObject("device");
        json.WriteString("name", backend.Name);
        json.WriteNumber("launches", backend.Counters.Launches);
        json.WriteNumber("uploads", backend.Counters.Uploads);
        json.WriteNumber("downloads", backend.Counters.Downloads);
        json.WriteNumber("bytes_copied", backend.Counters.BytesCopied);
        json.WriteNumber("bytes_allocated", backend.Counters.BytesAllocated);
        json.WriteNumber("peak_bytes_allocated", backend.Counters.PeakBytesAllocated);
        if (backend is CudaBackend gpu)
        {
            json.WriteNumber("graph_launches", gpu.Counters.GraphLaunches);
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
