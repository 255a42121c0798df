// extension_api.cpp: what the host offers beyond the driver's interface.

#include <cstdio>
#include <cstring>

#include "context.h"
#include "counters.h"
#include "handles.h"
#include "host_memory.h"
#include "shadow.h"

using namespace host;

// Writes the counters as one JSON object, cut off at `size` bytes; gives the whole length.
EXPORT int hostCounters(char* text, size_t size)
{
    std::lock_guard lock(driver_lock());
    const Counters& c = counters();
    return std::snprintf(text, size,
        "{\"launches\":%llu,\"graph_launches\":%llu,\"copies\":%llu,\"copied_bytes\":%llu,\"modules\":%llu,\"allocations\":%llu,"
        "\"bytes_read\":%llu,\"bytes_written\":%llu,\"allocated_bytes\":%llu,\"peak_bytes\":%llu,\"failures\":%llu,"
        "\"live\":{\"streams\":%zu,\"events\":%zu,\"modules\":%zu,\"graphs\":%zu,\"graph_execs\":%zu,\"pinned\":%zu}}",
        c.launches, c.graph_launches, c.copies, c.copied_bytes, c.modules, c.allocations, c.bytes_read, c.bytes_written, c.allocated_bytes, c.peak_bytes,
        c.failures, streams().all().size(), events().all().size(), modules().all().size(), graphs().all().size(), graph_execs().all().size(),
        HostMemory::live());
}

// Bytes that kernels have read from and written to a range of device memory since the last hostResetTraffic; mode check only.
EXPORT CUresult hostTraffic(CUdeviceptr address, size_t bytes, uint64_t* read, uint64_t* written)
{
    return in_context([&]
    {
        if (!mode().check) return CUDA_ERROR_NOT_SUPPORTED;
        if (read == nullptr || written == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
        Shadow::traffic(address, bytes, *read, *written);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult hostResetTraffic()
{
    return in_context([] { return Shadow::reset_traffic(), CUDA_SUCCESS; });
}

// The last report of a failed launch, cut off at `size` bytes; gives the whole length.
EXPORT int hostLastReport(char* text, size_t size)
{
    std::lock_guard lock(driver_lock());
    return std::snprintf(text, size, "%s", last_report().c_str());
}
