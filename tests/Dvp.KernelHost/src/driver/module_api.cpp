// module_api.cpp: modules, functions and launches.

#include <algorithm>
#include <cstring>

#include "context.h"
#include "counters.h"
#include "handles.h"
#include "launch.h"
#include "limits.h"

using namespace host;

namespace
{
// A function's handle is its record; the table of modules says whether it is still there.
template <class Body>
CUresult with_function(void* handle, Body body)
{
    return in_context([&]
    {
        std::shared_ptr<Module> module = module_of(handle);
        return module == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(module, *static_cast<Function*>(handle));
    });
}

unsigned most_threads(const Function& function)
{
    return function.entry->max_threads != 0 ? function.entry->max_threads : Limits::kThreadsPerBlock;
}
}

EXPORT CUresult cuModuleLoadData(void** handle, const void* image)
{
    return in_context([&]
    {
        if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
        if (CUresult status = forbid_in_capture(); status != CUDA_SUCCESS) return status;
        std::shared_ptr<Module> module;
        if (CUresult status = load_module(image, module); status != CUDA_SUCCESS) return status;
        *handle = add_module(module);
        counters().modules++;
        return CUDA_SUCCESS;
    });
}
EXPORT CUresult cuModuleLoadDataEx(void** handle, const void* image, unsigned, void*, void**) { return cuModuleLoadData(handle, image); }

EXPORT CUresult cuModuleUnload(void* handle)
{
    return in_context([&]
    {
        drain_all();
        return remove_module(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    });
}

EXPORT CUresult cuModuleGetFunction(void** function, void* handle, const char* name)
{
    return in_context([&]
    {
        std::shared_ptr<Module> module = modules().find(handle);
        if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (function == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
        auto found = module->functions.find(name);
        if (found == module->functions.end()) return CUDA_ERROR_NOT_FOUND;
        *function = found->second.get();
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuModuleGetFunctionCount(unsigned* count, void* handle)
{
    return in_context([&]
    {
        std::shared_ptr<Module> module = modules().find(handle);
        if (module == nullptr || count == nullptr) return CUDA_ERROR_INVALID_VALUE;
        *count = static_cast<unsigned>(module->functions.size());
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, void* handle, const char* name)
{
    return in_context([&]
    {
        std::shared_ptr<Module> module = modules().find(handle);
        if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
        for (const Symbol& symbol : module->globals)
        {
            if (symbol.name != name) continue;
            if (address != nullptr) *address = module->base + symbol.address;
            if (bytes != nullptr) *bytes = symbol.bytes;
            return CUDA_SUCCESS;
        }
        return CUDA_ERROR_NOT_FOUND;
    });
}
EXPORT CUresult cuModuleGetGlobal(CUdeviceptr* address, size_t* bytes, void* handle, const char* name)
{
    return cuModuleGetGlobal_v2(address, bytes, handle, name);
}

EXPORT CUresult cuFuncGetAttribute(int* value, FunctionAttribute attribute, void* handle)
{
    return with_function(handle, [&](const auto&, Function& function)
    {
        if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
        switch (attribute)
        {
            case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = static_cast<int>(most_threads(function)); break;
            case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = static_cast<int>(function.static_shared); break;
            case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = Limits::kRegistersPerThread; break;
            case CU_FUNC_ATTRIBUTE_PTX_VERSION:
            case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = 10 * mode().major + mode().minor; break;
            case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = static_cast<int>(function.dynamic_limit); break;
            case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = -1; break;
            case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
            case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
            case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA: *value = 0; break;
            default: return CUDA_ERROR_INVALID_VALUE;
        }
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuFuncSetAttribute(void* handle, FunctionAttribute attribute, int value)
{
    return with_function(handle, [&](const auto&, Function& function)
    {
        if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) return CUDA_SUCCESS;
        if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_ERROR_INVALID_VALUE;
        if (value < 0 || static_cast<unsigned>(value) + function.static_shared > limits().shared_opt_in) return CUDA_ERROR_INVALID_VALUE;
        function.dynamic_limit = static_cast<unsigned>(value);
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuFuncGetParamInfo(void* handle, size_t index, size_t* offset, size_t* bytes)
{
    return with_function(handle, [&](const auto&, Function& function)
    {
        if (index >= function.entry->parameters) return CUDA_ERROR_INVALID_VALUE;
        size_t at = 0;
        for (size_t i = 0; i <= index; i++)
        {
            size_t size = function.entry->sizes[i], alignment = std::min<size_t>(size, 8);
            at = (at + alignment - 1) / alignment * alignment;
            if (i < index) at += size;
        }
        if (offset != nullptr) *offset = at;
        if (bytes != nullptr) *bytes = function.entry->sizes[index];
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuFuncGetName(const char** name, void* handle)
{
    return with_function(handle, [&](const auto&, Function& function)
    {
        return name == nullptr ? CUDA_ERROR_INVALID_VALUE : (*name = function.entry->name, CUDA_SUCCESS);
    });
}

EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* handle, int block_size, size_t shared_bytes)
{
    return with_function(handle, [&](const auto&, Function& function)
    {
        if (blocks == nullptr || block_size < 1) return CUDA_ERROR_INVALID_VALUE;
        Limits l = limits();
        unsigned threads = (static_cast<unsigned>(block_size) + 31) / 32 * 32;
        size_t shared = shared_bytes + function.static_shared + Limits::kReservedShared;
        size_t most = std::min({size_t(l.blocks_per_multiprocessor), size_t(l.threads_per_multiprocessor / threads),
            size_t(Limits::kRegisters / (Limits::kRegistersPerThread * threads)), l.shared_per_multiprocessor / shared});
        bool fits = static_cast<unsigned>(block_size) <= most_threads(function) && shared_bytes <= function.dynamic_limit;
        *blocks = fits ? static_cast<int>(most) : 0;
        return CUDA_SUCCESS;
    });
}

EXPORT CUresult cuLaunchKernel(void* handle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
    unsigned shared_bytes, void* stream_handle, void** arguments, void** extra)
{
    return with_function(handle, [&](const std::shared_ptr<Module>& module, Function& function)
    {
        std::shared_ptr<Stream> stream = stream_of(stream_handle);
        if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        if (extra != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
        if (function.entry->parameters != 0 && arguments == nullptr) return CUDA_ERROR_INVALID_VALUE;
        auto launch = std::make_shared<Launch>(Launch{module, &function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, {}});
        if (CUresult status = check_launch(function, launch->grid, launch->block, shared_bytes); status != CUDA_SUCCESS) return status;
        for (unsigned i = 0; i < function.entry->parameters; i++)
        {
            auto* bytes = static_cast<const unsigned char*>(arguments[i]);
            launch->arguments.emplace_back(bytes, bytes + function.entry->sizes[i]);
        }
        if (fails("launch")) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
        bool fault = fails("fault");
        return submit(stream, {WorkKind::Launch, [launch, fault] { return fault ? CUDA_ERROR_LAUNCH_FAILED : run_launch(*launch); }});
    });
}
