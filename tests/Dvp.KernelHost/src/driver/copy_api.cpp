// copy_api.cpp: copies and fills.

#include <cstring>
#include <vector>

#include "context.h"
#include "counters.h"
#include "device_memory.h"
#include "handles.h"
#include "host_memory.h"
#include "shadow.h"

using namespace host;

namespace
{
// Device memory, or a __device__ variable of a module.
bool is_device(CUdeviceptr address, size_t bytes)
{
    if (DeviceMemory::one().holds(address, bytes)) return true;
    for (const auto& [handle, module] : modules().all())
    {
        for (const Symbol& symbol : module->globals)
        {
            if (address - (module->base + symbol.address) < symbol.bytes) return bytes <= module->base + symbol.address + symbol.bytes - address;
        }
    }
    return false;
}

void* pointer(CUdeviceptr address) { return reinterpret_cast<void*>(address); }
CUdeviceptr address(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

void count(size_t bytes)
{
    counters().copies++;
    counters().copied_bytes += bytes;
}

CUresult to_device(CUdeviceptr target, const void* source, size_t bytes)
{
    std::memcpy(pointer(target), source, bytes);
    Shadow::written(target, bytes);
    count(bytes);
    return CUDA_SUCCESS;
}

CUresult to_host(void* target, CUdeviceptr source, size_t bytes)
{
    std::memcpy(target, pointer(source), bytes);
    count(bytes);
    return CUDA_SUCCESS;
}

CUresult within_device(CUdeviceptr target, CUdeviceptr source, size_t bytes)
{
    std::memmove(pointer(target), pointer(source), bytes);
    Shadow::copied(target, source, bytes);
    count(bytes);
    return CUDA_SUCCESS;
}

// The frame of an asynchronous call: stream, number of the failing copy, submission.
template <class Judge>
CUresult copy(void* stream_handle, Judge judge)
{
    return in_context([&]
    {
        std::shared_ptr<Stream> stream = stream_of(stream_handle);
        if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (fails("copy"))
        {
            latch(CUDA_ERROR_ECC_UNCORRECTABLE);
            return primary_context().error;
        }
        return judge(stream);
    });
}

// A synchronous call is one in the legacy stream that is waited for.
template <class Asynchronous>
CUresult synchronous(Asynchronous call)
{
    return in_context([&]
    {
        if (CUresult status = forbid_in_capture(); status != CUDA_SUCCESS) return status;
        if (CUresult status = call(); status != CUDA_SUCCESS) return status;
        drain(stream_of(nullptr));
        return primary_context().error;
    });
}

template <class T>
CUresult fill(CUdeviceptr target, T value, size_t count, void* stream_handle)
{
    return copy(stream_handle, [&](const std::shared_ptr<Stream>& stream)
    {
        if (target % sizeof(T) != 0 || (count != 0 && !is_device(target, count * sizeof(T)))) return CUDA_ERROR_INVALID_VALUE;
        return submit(stream, {WorkKind::Fill, [=]
        {
            for (size_t i = 0; i < count; i++) static_cast<T*>(pointer(target))[i] = value;
            Shadow::written(target, count * sizeof(T));
            return CUDA_SUCCESS;
        }});
    });
}
}

// Pageable memory is read before the call returns; pinned memory when the copy runs, and so is any memory when a graph is replayed.
EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr target, const void* source, size_t bytes, void* stream_handle)
{
    return copy(stream_handle, [&](const std::shared_ptr<Stream>& stream)
    {
        if (bytes == 0) return CUDA_SUCCESS;
        if (source == nullptr || !is_device(target, bytes)) return CUDA_ERROR_INVALID_VALUE;
        if (mode().late && stream->capture == nullptr && !HostMemory::holds(source, bytes))
        {
            auto staged = std::make_shared<std::vector<char>>(static_cast<const char*>(source), static_cast<const char*>(source) + bytes);
            return submit(stream, {WorkKind::Copy, [=] { return to_device(target, staged->data(), bytes); }});
        }
        return submit(stream, {WorkKind::Copy, [=] { return to_device(target, source, bytes); }});
    });
}

// A copy into pageable memory is over when the call returns.
EXPORT CUresult cuMemcpyDtoHAsync_v2(void* target, CUdeviceptr source, size_t bytes, void* stream_handle)
{
    return copy(stream_handle, [&](const std::shared_ptr<Stream>& stream)
    {
        if (bytes == 0) return CUDA_SUCCESS;
        if (target == nullptr || !is_device(source, bytes)) return CUDA_ERROR_INVALID_VALUE;
        CUresult status = submit(stream, {WorkKind::Copy, [=] { return to_host(target, source, bytes); }});
        if (status == CUDA_SUCCESS && stream->capture == nullptr && !HostMemory::holds(target, bytes)) drain(stream);
        return status;
    });
}

EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes, void* stream_handle)
{
    return copy(stream_handle, [&](const std::shared_ptr<Stream>& stream)
    {
        if (bytes == 0) return CUDA_SUCCESS;
        if (!is_device(target, bytes) || !is_device(source, bytes)) return CUDA_ERROR_INVALID_VALUE;
        return submit(stream, {WorkKind::Copy, [=] { return within_device(target, source, bytes); }});
    });
}

// Either side may be device memory or the host's; the addresses say which.
EXPORT CUresult cuMemcpyAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, void* stream)
{
    bool to = DeviceMemory::one().in_range(target), from = DeviceMemory::one().in_range(source);
    if (to && from) return cuMemcpyDtoDAsync_v2(target, source, bytes, stream);
    if (to) return cuMemcpyHtoDAsync_v2(target, pointer(source), bytes, stream);
    return from ? cuMemcpyDtoHAsync_v2(pointer(target), source, bytes, stream) : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr target, const void* source, size_t bytes)
{
    return synchronous([&] { return cuMemcpyHtoDAsync_v2(target, source, bytes, nullptr); });
}
EXPORT CUresult cuMemcpyDtoH_v2(void* target, CUdeviceptr source, size_t bytes)
{
    return synchronous([&] { return cuMemcpyDtoHAsync_v2(target, source, bytes, nullptr); });
}
EXPORT CUresult cuMemcpyDtoD_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes)
{
    return synchronous([&] { return cuMemcpyDtoDAsync_v2(target, source, bytes, nullptr); });
}
EXPORT CUresult cuMemcpyHtoD(CUdeviceptr target, const void* source, size_t bytes) { return cuMemcpyHtoD_v2(target, source, bytes); }
EXPORT CUresult cuMemcpyDtoH(void* target, CUdeviceptr source, size_t bytes) { return cuMemcpyDtoH_v2(target, source, bytes); }
EXPORT CUresult cuMemcpyDtoD(CUdeviceptr target, CUdeviceptr source, size_t bytes) { return cuMemcpyDtoD_v2(target, source, bytes); }

EXPORT CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t count, void* stream) { return fill(target, value, count, stream); }
EXPORT CUresult cuMemsetD16Async(CUdeviceptr target, unsigned short value, size_t count, void* stream) { return fill(target, value, count, stream); }
EXPORT CUresult cuMemsetD32Async(CUdeviceptr target, unsigned value, size_t count, void* stream) { return fill(target, value, count, stream); }
EXPORT CUresult cuMemsetD8_v2(CUdeviceptr target, unsigned char value, size_t count)
{
    return synchronous([&] { return fill(target, value, count, nullptr); });
}
EXPORT CUresult cuMemsetD32_v2(CUdeviceptr target, unsigned value, size_t count)
{
    return synchronous([&] { return fill(target, value, count, nullptr); });
}

// CUDA_MEMCPY2D.
struct Copy2D
{
    size_t source_x, source_y;
    unsigned source_type; // 1 host, 2 device, 4 unified
    const void* source_host;
    CUdeviceptr source_device;
    void* source_array;
    size_t source_pitch, target_x, target_y;
    unsigned target_type;
    void* target_host;
    CUdeviceptr target_device;
    void* target_array;
    size_t target_pitch, width, height;
};

EXPORT CUresult cuMemcpy2DAsync_v2(const Copy2D* given, void* stream_handle)
{
    return copy(stream_handle, [&](const std::shared_ptr<Stream>& stream)
    {
        if (given == nullptr) return CUDA_ERROR_INVALID_VALUE;
        Copy2D c = *given;
        bool from_host = c.source_type == 1, to_host = c.target_type == 1;
        if (c.source_type == 3 || c.target_type == 3) return CUDA_ERROR_NOT_SUPPORTED; // arrays
        if (c.width == 0 || c.height == 0) return CUDA_SUCCESS;
        if ((c.height > 1 && (c.source_pitch < c.width || c.target_pitch < c.width))) return CUDA_ERROR_INVALID_VALUE;
        CUdeviceptr source = (from_host ? address(c.source_host) : c.source_device) + c.source_y * c.source_pitch + c.source_x;
        CUdeviceptr target = (to_host ? address(c.target_host) : c.target_device) + c.target_y * c.target_pitch + c.target_x;
        size_t source_bytes = (c.height - 1) * c.source_pitch + c.width, target_bytes = (c.height - 1) * c.target_pitch + c.width;
        if ((!from_host && !is_device(source, source_bytes)) || (!to_host && !is_device(target, target_bytes))) return CUDA_ERROR_INVALID_VALUE;

        auto staged = std::make_shared<std::vector<char>>();
        if (mode().late && from_host && stream->capture == nullptr && !HostMemory::holds(pointer(source), source_bytes))
            staged->assign(static_cast<char*>(pointer(source)), static_cast<char*>(pointer(source)) + source_bytes);
        CUresult status = submit(stream, {WorkKind::Copy, [=]
        {
            CUdeviceptr from = staged->empty() ? source : address(staged->data());
            for (size_t row = 0; row < c.height; row++)
            {
                CUdeviceptr a = target + row * c.target_pitch, b = from + row * c.source_pitch;
                std::memmove(pointer(a), pointer(b), c.width);
                if (!to_host) from_host ? Shadow::written(a, c.width) : Shadow::copied(a, b, c.width);
            }
            count(c.width * c.height);
            return CUDA_SUCCESS;
        }});
        if (status == CUDA_SUCCESS && to_host && stream->capture == nullptr && !HostMemory::holds(pointer(target), target_bytes)) drain(stream);
        return status;
    });
}
EXPORT CUresult cuMemcpy2D_v2(const Copy2D* given)
{
    return synchronous([&] { return cuMemcpy2DAsync_v2(given, nullptr); });
}
