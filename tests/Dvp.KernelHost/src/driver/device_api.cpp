// device_api.cpp: initialisation, the device, its context, and errors.

#include <algorithm>
#include <cstring>

#include "api.h"
#include "context.h"
#include "device_memory.h"
#include "handles.h"
#include "limits.h"
#include "team.h"

using namespace host;

namespace host
{
bool s_initialised = false;

Context& primary_context()
{
    static Context context;
    return context;
}

Context*& current_context()
{
    static thread_local Context* current = nullptr;
    return current;
}

std::recursive_mutex& driver_lock()
{
    static auto* lock = new std::recursive_mutex;
    return *lock;
}

void latch(CUresult error)
{
    if (primary_context().error == CUDA_SUCCESS) primary_context().error = error;
}
}

namespace
{
struct ErrorText
{
    CUresult code;
    const char* name;
    const char* text;
};

const ErrorText kErrors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {CUDA_ERROR_ECC_UNCORRECTABLE, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not initiated in this stream"},
    {CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capture sequence contains a fork that was not joined"},
    {CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing stream"},
    {CUDA_ERROR_CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture from another thread"},
    {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const ErrorText* error_text(CUresult code)
{
    auto found = std::find_if(std::begin(kErrors), std::end(kErrors), [code](const ErrorText& e) { return e.code == code; });
    return found == std::end(kErrors) ? nullptr : found;
}

CUresult attribute(int* value, DeviceAttribute attribute)
{
    Limits l = limits();
    switch (attribute)
    {
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X: *value = 1024; break;
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: *value = 1024; break;
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: *value = 64; break;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: *value = 0x7fffffff; break;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y: *value = 65535; break;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: *value = 65535; break;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = Limits::kShared; break;
        case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: *value = 65536; break;
        case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
        case CU_DEVICE_ATTRIBUTE_MAX_PITCH: *value = 0x7fffffff; break;
        case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK: *value = Limits::kRegisters; break;
        case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = 0; break; // no clock: whoever measures knows that times mean nothing here
        case CU_DEVICE_ATTRIBUTE_GPU_OVERLAP: *value = 1; break;
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = static_cast<int>(l.multiprocessors); break;
        case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY: *value = 1; break;
        case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS: *value = 1; break;
        case CU_DEVICE_ATTRIBUTE_ECC_ENABLED: *value = 1; break;
        case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = 0; break;
        case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 5120; break;
        case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 40 << 20; break;
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = static_cast<int>(l.threads_per_multiprocessor); break;
        case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: *value = 3; break;
        case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING: *value = 1; break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = mode().major; break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = mode().minor; break;
        case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED: *value = 1; break;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *value = static_cast<int>(l.shared_per_multiprocessor); break;
        case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: *value = Limits::kRegisters; break;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = static_cast<int>(l.shared_opt_in); break;
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: *value = static_cast<int>(l.blocks_per_multiprocessor); break;
        case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: *value = Limits::kReservedShared; break;
        case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: *value = 1; break;
        default: *value = 0; break; // a feature that the host does not have
    }
    return CUDA_SUCCESS;
}

// For calls that need initialisation and device 0 only.
template <class Body>
CUresult with_device(CUdevice device, Body body)
{
    std::lock_guard lock(driver_lock());
    if (!s_initialised) return CUDA_ERROR_NOT_INITIALIZED;
    return device == 0 ? body() : CUDA_ERROR_INVALID_DEVICE;
}

thread_local int t_depth = 0; // of the thread's stack of contexts; all entries are the primary context
}

EXPORT CUresult cuInit(unsigned flags)
{
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    std::lock_guard lock(driver_lock());
    (void)mode();
    s_initialised = true;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuDriverGetVersion(int* version)
{
    if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *version = 13000;
    return CUDA_SUCCESS;
}

// NVIDIA's own libraries look for this door between them; NVRTC does not survive a driver without it.
EXPORT CUresult cuGetExportTable(const void** table, const void*)
{
    if (table != nullptr) *table = nullptr;
    return CUDA_ERROR_NOT_FOUND;
}

EXPORT CUresult cuGetErrorName(CUresult code, const char** name)
{
    const ErrorText* text = error_text(code);
    if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *name = text == nullptr ? nullptr : text->name;
    return text == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

EXPORT CUresult cuGetErrorString(CUresult code, const char** string)
{
    const ErrorText* text = error_text(code);
    if (string == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *string = text == nullptr ? nullptr : text->text;
    return text == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetCount(int* count)
{
    return with_device(0, [&] { return count == nullptr ? CUDA_ERROR_INVALID_VALUE : (*count = 1, CUDA_SUCCESS); });
}

EXPORT CUresult cuDeviceGet(CUdevice* device, int ordinal)
{
    return with_device(ordinal, [&] { return device == nullptr ? CUDA_ERROR_INVALID_VALUE : (*device = 0, CUDA_SUCCESS); });
}

EXPORT CUresult cuDeviceGetName(char* name, int length, CUdevice device)
{
    return with_device(device, [&]
    {
        if (name == nullptr || length < 1) return CUDA_ERROR_INVALID_VALUE;
        std::string text = device_name().substr(0, static_cast<size_t>(length - 1));
        std::memcpy(name, text.c_str(), text.size() + 1);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuDeviceGetUuid_v2(unsigned char* uuid, CUdevice device)
{
    return with_device(device, [&]
    {
        if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
        std::memcpy(uuid, "kernel host\0\0\0\0\0", 16);
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuDeviceGetUuid(unsigned char* uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

EXPORT CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device)
{
    return with_device(device, [&] { return bytes == nullptr ? CUDA_ERROR_INVALID_VALUE : (*bytes = Limits::kMemory, CUDA_SUCCESS); });
}
EXPORT CUresult cuDeviceTotalMem(size_t* bytes, CUdevice device) { return cuDeviceTotalMem_v2(bytes, device); }

EXPORT CUresult cuDeviceGetAttribute(int* value, DeviceAttribute which, CUdevice device)
{
    return with_device(device, [&] { return value == nullptr ? CUDA_ERROR_INVALID_VALUE : attribute(value, which); });
}

EXPORT CUresult cuDevicePrimaryCtxRetain(Context** context, CUdevice device)
{
    return with_device(device, [&]
    {
        if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
        primary_context().references++;
        *context = &primary_context();
        return CUDA_SUCCESS;
    });
}

// The last release ends all work and forgets the error, as a reset does.
EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    return with_device(device, [&]
    {
        Context& context = primary_context();
        if (context.references == 0) return CUDA_ERROR_INVALID_CONTEXT;
        if (--context.references == 0)
        {
            drain_all();
            release_everything();
            Team::one().release_guards();
            context.error = CUDA_SUCCESS;
        }
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return cuDevicePrimaryCtxRelease_v2(device); }

EXPORT CUresult cuCtxSetCurrent(Context* context)
{
    return with_device(0, [&]
    {
        if (context != nullptr && context != &primary_context()) return CUDA_ERROR_INVALID_CONTEXT;
        current_context() = context;
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuCtxGetCurrent(Context** context)
{
    return with_device(0, [&] { return context == nullptr ? CUDA_ERROR_INVALID_VALUE : (*context = current_context(), CUDA_SUCCESS); });
}

EXPORT CUresult cuCtxGetDevice(CUdevice* device)
{
    return in_context([&] { return device == nullptr ? CUDA_ERROR_INVALID_VALUE : (*device = 0, CUDA_SUCCESS); });
}

EXPORT CUresult cuCtxPushCurrent_v2(Context* context)
{
    return with_device(0, [&]
    {
        if (context != &primary_context()) return CUDA_ERROR_INVALID_CONTEXT;
        if (current_context() != nullptr) t_depth++;
        current_context() = context;
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuCtxPushCurrent(Context* context) { return cuCtxPushCurrent_v2(context); }

EXPORT CUresult cuCtxPopCurrent_v2(Context** context)
{
    return with_device(0, [&]
    {
        if (current_context() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
        if (context != nullptr) *context = current_context();
        if (t_depth > 0) t_depth--;
        else current_context() = nullptr;
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuCtxPopCurrent(Context** context) { return cuCtxPopCurrent_v2(context); }

EXPORT CUresult cuCtxSynchronize()
{
    return in_context([]
    {
        if (CUresult status = forbid_in_capture(); status != CUDA_SUCCESS) return status;
        if (fails("sync")) latch(CUDA_ERROR_LAUNCH_FAILED);
        drain_all();
        return primary_context().error;
    });
}
