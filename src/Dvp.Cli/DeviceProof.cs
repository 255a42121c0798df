using System.Text.Json;
using Dvp.Engine.Devices;

namespace Dvp.Cli;

/// <summary>The part of a JSON result that shows which device did the work.</summary>
internal static class DeviceProof
{
    /// <summary>Writes name, launches and bytes as <c>"device"</c>.</summary>
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
        json.WriteEndObject();
    }
}
