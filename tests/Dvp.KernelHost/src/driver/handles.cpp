// handles.cpp: the tables.

#include "handles.h"

#include "device_memory.h"

namespace host
{
namespace
{
// The tables live as long as the process: handles may be given back while static objects go.
template <class T>
Handles<T>& table()
{
    static auto* all = new Handles<T>;
    return *all;
}
}

Handles<Stream>& streams() { return table<Stream>(); }
Handles<Event>& events() { return table<Event>(); }
Handles<Module>& modules() { return table<Module>(); }
Handles<Graph>& graphs() { return table<Graph>(); }
Handles<GraphExec>& graph_execs() { return table<GraphExec>(); }

namespace
{
auto& functions()
{
    static auto* all = new std::unordered_map<const void*, std::shared_ptr<Module>>;
    return *all;
}
}

void* add_module(const std::shared_ptr<Module>& module)
{
    for (const auto& [name, function] : module->functions) functions().emplace(function.get(), module);
    return modules().add(module);
}

bool remove_module(void* handle)
{
    std::shared_ptr<Module> module = modules().find(handle);
    if (module == nullptr) return false;
    for (const auto& [name, function] : module->functions) functions().erase(function.get());
    return modules().remove(handle);
}

void release_everything()
{
    graph_execs().clear();
    graphs().clear();
    events().clear();
    streams().clear();
    functions().clear();
    modules().clear();
    while (!DeviceMemory::one().allocations().empty()) DeviceMemory::one().release(DeviceMemory::one().allocations().begin()->first);
}

std::shared_ptr<Module> module_of(const void* function)
{
    auto found = functions().find(function);
    return found == functions().end() ? nullptr : found->second;
}
}
