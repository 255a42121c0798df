// host_memory.cpp: the table of pinned pieces.

#include "host_memory.h"

#include <cstdlib>
#include <cstring>
#include <map>

namespace host
{
namespace
{
auto& pieces()
{
    static auto* all = new std::map<const char*, size_t>;
    return *all;
}
}

void* HostMemory::allocate(size_t bytes)
{
    size_t whole = (bytes + 4095) / 4096 * 4096;
    void* memory = std::aligned_alloc(4096, whole);
    if (memory == nullptr) return nullptr;
    std::memset(memory, 0xff, whole < 1 << 16 ? whole : 1 << 16); // enough to show what is read before it is written
    pieces().emplace(static_cast<char*>(memory), bytes);
    return memory;
}

bool HostMemory::release(void* memory)
{
    if (pieces().erase(static_cast<char*>(memory)) == 0) return false;
    std::free(memory);
    return true;
}

bool HostMemory::holds(const void* address, size_t bytes)
{
    auto at = static_cast<const char*>(address);
    auto next = pieces().upper_bound(at);
    if (next == pieces().begin()) return false;
    auto piece = std::prev(next);
    return at + bytes <= piece->first + piece->second;
}

size_t HostMemory::live() { return pieces().size(); }
}
