// module.cpp: loading of images.

#include "module.h"

#include <cstring>
#include <dlfcn.h>
#include <sstream>

#include "compile.h"
#include "files.h"
#include "image.h"
#include "limits.h"
#include "mode.h"

namespace host
{
namespace
{
// Static local variables are shared memory: device code has no others. Their mangled names hold the function's: _ZZ6kernelE4tile.
bool is_local(const Symbol& symbol) { return symbol.name.rfind("_ZZ", 0) == 0; }

bool runs_here(const Image& image)
{
    int device = 10 * mode().major + mode().minor;
    if (image.object.empty()) return image.arch <= device; // PTX
    return image.exact_arch ? image.arch == device : image.arch / 10 == device / 10 && image.arch <= device;
}

CUresult compile_text(Image& image)
{
    constexpr const char* prefix = "// std ";
    size_t end = image.text.find('\n');
    std::string standard = image.text.substr(std::strlen(prefix), end - std::strlen(prefix));
    Compiled compiled = compile(image.text, standard, mode().check);
    if (!compiled.ok)
    {
        log_line("kernel host: a module's text does not compile: " + compiled.log);
        return CUDA_ERROR_INVALID_PTX;
    }
    image.object = compiled.result;
    image.checked = mode().check;
    return CUDA_SUCCESS;
}

CUresult open(Module& module)
{
    TemporaryFolder folder; // the file may go once it is mapped
    std::string path = folder.write("module.so", module.object);
    module.library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module.library == nullptr)
    {
        log_line(std::string("kernel host: a module cannot be loaded: ") + dlerror());
        return CUDA_ERROR_INVALID_IMAGE;
    }
    auto get = reinterpret_cast<const kernel_host::Module* (*)()>(dlsym(module.library, "kernel_host_module"));
    Dl_info info{};
    if (get == nullptr || dladdr(reinterpret_cast<void*>(get), &info) == 0 || get()->abi_version != kernel_host::kAbiVersion) return CUDA_ERROR_INVALID_IMAGE;
    module.table = get();
    module.base = reinterpret_cast<uintptr_t>(info.dli_fbase);
    return CUDA_SUCCESS;
}

void add_functions(Module& module)
{
    for (unsigned i = 0; i < module.table->count; i++)
    {
        const kernel_host::Entry& entry = module.table->entries[i];
        auto function = std::make_unique<Function>();
        function->module = &module;
        function->entry = &entry;
        for (const Symbol& symbol : module.shared)
        {
            // Another kernel's shared memory does not count; that of a helper function may be anybody's.
            bool others = false;
            for (unsigned k = 0; k < module.table->count; k++)
            {
                std::string other = "_ZZ" + std::to_string(std::strlen(module.table->entries[k].name)) + module.table->entries[k].name;
                others |= k != i && symbol.name.rfind(other, 0) == 0;
            }
            if (!others) function->static_shared += static_cast<unsigned>((symbol.bytes + 15) & ~size_t(15));
        }
        function->dynamic_limit = function->static_shared < Limits::kShared ? Limits::kShared - function->static_shared : 0;
        module.functions.emplace(entry.name, std::move(function));
    }
}
}

bool Module::is_other(uintptr_t place) const
{
    for (const auto* list : {&others, &globals})
    {
        for (const Symbol& symbol : *list) if (place - symbol.address < symbol.bytes) return true;
    }
    return false;
}

Module::~Module()
{
    if (library != nullptr) dlclose(library);
}

std::string Module::place(const void* site) const
{
    if (site == nullptr || object.empty()) return {};
    TemporaryFolder folder;
    char address[32];
    std::snprintf(address, sizeof address, "0x%zx", reinterpret_cast<uintptr_t>(site) - base - 1); // the call, not where it returns
    Outcome outcome = run({"addr2line", "-s", "-i", "-e", folder.write("module.so", object), address});
    if (outcome.status != 0) return {};
    // From the innermost inlined function outwards; the first line that is not in the host's own headers.
    std::stringstream lines(outcome.output);
    std::string line, first;
    while (std::getline(lines, line))
    {
        line = line.substr(0, line.find(' '));
        if (line.empty() || line[0] == '?') continue;
        if (first.empty()) first = line;
        if (line.find(".h:") == std::string::npos && line.find("ptx.cuh:") == std::string::npos) return line;
    }
    return first;
}

CUresult load_module(const void* bytes, std::shared_ptr<Module>& result)
{
    Image image;
    if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!Image::unpack(bytes, image)) return CUDA_ERROR_INVALID_IMAGE;
    if (fails("load") || !runs_here(image)) return CUDA_ERROR_NO_BINARY_FOR_GPU;
    if (image.object.empty() || image.checked != mode().check)
    {
        if (CUresult status = compile_text(image); status != CUDA_SUCCESS) return status;
    }

    static unsigned s_modules = 0;
    auto module = std::make_shared<Module>();
    module->number = ++s_modules;
    module->object = std::move(image.object);
    if (CUresult status = open(*module); status != CUDA_SUCCESS) return status;
    for (Symbol& symbol : writable_symbols(module->object))
    {
        if (symbol.bytes == 0 || symbol.name.find("kernel_host_gap") != std::string::npos) continue;
        if (symbol.name.find("kernel_host") != std::string::npos) module->others.push_back(symbol);
        else if (is_local(symbol)) module->shared.push_back(symbol);
        else if (symbol.name[0] != '_') module->globals.push_back(symbol);
    }
    Extent extent = extent_of(module->object);
    module->bytes = extent.bytes, module->writable_first = extent.writable_first, module->writable_end = extent.writable_end;
    add_functions(*module);
    for (const auto& [name, function] : module->functions)
    {
        if (function->static_shared > Limits::kShared)
        {
            log_line("kernel host: " + name + " declares " + std::to_string(function->static_shared) + " bytes of shared memory; 49152 are allowed");
            return CUDA_ERROR_INVALID_IMAGE;
        }
    }
    result = std::move(module);
    return CUDA_SUCCESS;
}
}
