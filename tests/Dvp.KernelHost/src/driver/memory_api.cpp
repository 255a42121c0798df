// memory_api.cpp: device memory, pools, and pinned memory of the host.

#include <cstdlib>
#include <cstring>

#include "context.h"
#include "device_memory.h"
#include "handles.h"
#include "host_memory.h"
#include "limits.h"

using namespace host;

namespace
{
CUresult allocate(CUdeviceptr* address, size_t bytes)
{
    if (address == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (fails("alloc")) return CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t taken = DeviceMemory::one().allocate(bytes);
    if (taken == 0) return CUDA_ERROR_OUT_OF_MEMORY;
    *address = taken;
    return CUDA_SUCCESS;
}

uint64_t s_pool_threshold = 0;
int s_pool; // its address is the handle of the one pool
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes)
{
    return in_context([&]
    {
        if (CUresult status = forbid_in_capture(); status != CUDA_SUCCESS) return status;
        return allocate(address, bytes);
    });
}
EXPORT CUresult cuMemAlloc(CUdeviceptr* address, size_t bytes) { return cuMemAlloc_v2(address, bytes); }

// Waits for the device, as cuMemFree does.
EXPORT CUresult cuMemFree_v2(CUdeviceptr address)
{
    return in_context([&]
    {
        if (address == 0) return CUDA_SUCCESS;
        if (CUresult status = forbid_in_capture(); status != CUDA_SUCCESS) return status;
        drain_all();
        return DeviceMemory::one().release(address) ? primary_context().error : CUDA_ERROR_INVALID_VALUE;
    });
}
EXPORT CUresult cuMemFree(CUdeviceptr address) { return cuMemFree_v2(address); }

EXPORT CUresult cuMemAllocAsync(CUdeviceptr* address, size_t bytes, void* stream_handle)
{
    return in_context([&]
    {
        std::shared_ptr<Stream> stream = stream_of(stream_handle);
        if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (stream->capture != nullptr) return CUDA_ERROR_NOT_SUPPORTED; // memory nodes of graphs
        return allocate(address, bytes);
    });
}

EXPORT CUresult cuMemAllocFromPoolAsync(CUdeviceptr* address, size_t bytes, void* pool, void* stream)
{
    return pool == &s_pool ? cuMemAllocAsync(address, bytes, stream) : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT CUresult cuMemFreeAsync(CUdeviceptr address, void* stream_handle)
{
    return in_context([&]
    {
        std::shared_ptr<Stream> stream = stream_of(stream_handle);
        if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (stream->capture != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
        if (address == 0) return CUDA_SUCCESS;
        uint64_t base = 0;
        size_t bytes = 0;
        if (!DeviceMemory::one().find(address, base, bytes) || base != address) return CUDA_ERROR_INVALID_VALUE;
        return submit(stream, {WorkKind::Other, [address] { return DeviceMemory::one().release(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }});
    });
}

EXPORT CUresult cuMemGetInfo_v2(size_t* free, size_t* total)
{
    return in_context([&]
    {
        if (free == nullptr || total == nullptr) return CUDA_ERROR_INVALID_VALUE;
        *total = Limits::kMemory;
        *free = Limits::kMemory - DeviceMemory::one().used();
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuMemGetInfo(size_t* free, size_t* total) { return cuMemGetInfo_v2(free, total); }

EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address)
{
    return in_context([&]
    {
        uint64_t first = 0;
        size_t size = 0;
        if (!DeviceMemory::one().find(address, first, size)) return CUDA_ERROR_NOT_FOUND;
        if (base != nullptr) *base = first;
        if (bytes != nullptr) *bytes = size;
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuDeviceGetDefaultMemPool(void** pool, CUdevice device)
{
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *pool = &s_pool;
    return CUDA_SUCCESS;
}
EXPORT CUresult cuDeviceGetMemPool(void** pool, CUdevice device) { return cuDeviceGetDefaultMemPool(pool, device); }

// Attributes 1 to 3 are ints (reuse), 4 is the release threshold, 5 to 8 count bytes.
EXPORT CUresult cuMemPoolSetAttribute(void* pool, int attribute, const void* value)
{
    return in_context([&]
    {
        if (pool != &s_pool) return CUDA_ERROR_INVALID_HANDLE;
        if (value == nullptr || attribute < 1 || attribute > 8) return CUDA_ERROR_INVALID_VALUE;
        if (attribute == 4) std::memcpy(&s_pool_threshold, value, sizeof s_pool_threshold);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuMemPoolGetAttribute(void* pool, int attribute, void* value)
{
    return in_context([&]
    {
        if (pool != &s_pool) return CUDA_ERROR_INVALID_HANDLE;
        if (value == nullptr || attribute < 1 || attribute > 8) return CUDA_ERROR_INVALID_VALUE;
        int enabled = 1;
        uint64_t bytes = attribute == 4 ? s_pool_threshold : DeviceMemory::one().used();
        attribute <= 3 ? std::memcpy(value, &enabled, sizeof enabled) : std::memcpy(value, &bytes, sizeof bytes);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuMemPoolTrimTo(void* pool, size_t)
{
    return in_context([&] { return pool == &s_pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; });
}

EXPORT CUresult cuMemHostAlloc(void** memory, size_t bytes, unsigned flags)
{
    return in_context([&]
    {
        if (memory == nullptr || bytes == 0 || flags > 7) return CUDA_ERROR_INVALID_VALUE;
        if (CUresult status = forbid_in_capture(); status != CUDA_SUCCESS) return status;
        if (fails("alloc")) return CUDA_ERROR_OUT_OF_MEMORY;
        *memory = HostMemory::allocate(bytes);
        return *memory == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    });
}
EXPORT CUresult cuMemAllocHost_v2(void** memory, size_t bytes) { return cuMemHostAlloc(memory, bytes, 0); }
EXPORT CUresult cuMemAllocHost(void** memory, size_t bytes) { return cuMemHostAlloc(memory, bytes, 0); }

EXPORT CUresult cuMemFreeHost(void* memory)
{
    return in_context([&]
    {
        drain_all();
        return HostMemory::release(memory) ? primary_context().error : CUDA_ERROR_INVALID_VALUE;
    });
}
