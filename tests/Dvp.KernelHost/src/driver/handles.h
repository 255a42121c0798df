// handles.h: which handles are alive, so that a stale or wrong one is an error and not a crash.

#pragma once

#include <memory>
#include <unordered_map>

#include "module.h"
#include "stream.h"

namespace host
{
template <class T>
class Handles
{
public:
    void* add(std::shared_ptr<T> value)
    {
        void* handle = value.get();
        _all.emplace(handle, std::move(value));
        return handle;
    }
    std::shared_ptr<T> find(void* handle) const
    {
        auto found = _all.find(handle);
        return found == _all.end() ? nullptr : found->second;
    }
    bool remove(void* handle) { return _all.erase(handle) != 0; }
    void clear() { _all.clear(); }
    const std::unordered_map<void*, std::shared_ptr<T>>& all() const { return _all; }

private:
    std::unordered_map<void*, std::shared_ptr<T>> _all;
};

struct Event
{
    bool timing = true, captured = false;
    Point point; // where it was recorded last; no stream before that
    std::shared_ptr<Capture> capture; // of the stream that it was recorded in
    double milliseconds = 0; // when it came to pass
};

// A graph made ready to launch.
struct GraphExec
{
    std::vector<Work> work;
};

Handles<Stream>& streams();
Handles<Event>& events();
Handles<Module>& modules();
Handles<Graph>& graphs();
Handles<GraphExec>& graph_execs();

// Modules know their functions; these are all that are loaded.
void* add_module(const std::shared_ptr<Module>& module);
bool remove_module(void* handle);

// What a context takes with it when it goes.
void release_everything();

// The module of a function's handle; null when there is no such function.
std::shared_ptr<Module> module_of(const void* function);
}
