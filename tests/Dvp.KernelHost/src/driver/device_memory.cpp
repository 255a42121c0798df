// device_memory.cpp: first fit. A gap lies behind every allocation, so that what runs over hits nobody's memory.

#include "device_memory.h"

#include <cstring>
#include <stdexcept>
#include <sys/mman.h>

#include "counters.h"
#include "limits.h"
#include "mode.h"
#include "shadow.h"

namespace host
{
namespace
{
size_t whole(size_t bytes) { return (bytes + DeviceMemory::kUnit - 1) / DeviceMemory::kUnit * DeviceMemory::kUnit + DeviceMemory::kUnit; }
}

DeviceMemory& DeviceMemory::one()
{
    static DeviceMemory* memory = new DeviceMemory;
    return *memory;
}

DeviceMemory::DeviceMemory()
{
    void* range = mmap(nullptr, kRange, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) throw std::runtime_error("kernel host: no address space for device memory");
    _base = reinterpret_cast<uint64_t>(range);
    _free.emplace(_base, kRange);
}

uint64_t DeviceMemory::take(size_t bytes)
{
    for (auto hole = _free.begin(); hole != _free.end(); ++hole)
    {
        if (hole->second < bytes) continue;
        uint64_t address = hole->first;
        size_t rest = hole->second - bytes;
        _free.erase(hole);
        if (rest != 0) _free.emplace(address + bytes, rest);
        return address;
    }
    return 0;
}

uint64_t DeviceMemory::allocate(size_t bytes)
{
    if (bytes > Limits::kMemory - _used) return 0;
    uint64_t address = take(whole(bytes));
    if (address == 0) return 0;
    _allocations.emplace(address, bytes);
    _used += bytes;
    std::memset(reinterpret_cast<void*>(address), 0xff, bytes); // NaN, so that what is read before it is written shows
    Shadow::allocated(address, bytes);
    counters().allocations++;
    counters().allocated_bytes = _used;
    if (_used > counters().peak_bytes) counters().peak_bytes = _used;
    return address;
}

bool DeviceMemory::release(uint64_t address)
{
    auto found = _allocations.find(address);
    if (found == _allocations.end()) return false;
    size_t bytes = found->second;
    _used -= bytes;
    counters().allocated_bytes = _used;
    _allocations.erase(found);
    Shadow::released(address, bytes);
    // Whole pages inside go back to the system.
    uint64_t first = (address + 4095) & ~uint64_t(4095), last = (address + bytes) & ~uint64_t(4095);
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
    // Addresses are not used again in the mode check, so that a freed buffer stays known as such.
    if (mode().check) return true;

    auto [hole, added] = _free.emplace(address, whole(bytes));
    (void)added;
    auto next = std::next(hole);
    if (next != _free.end() && hole->first + hole->second == next->first) hole->second += next->second, _free.erase(next);
    if (hole != _free.begin())
    {
        auto previous = std::prev(hole);
        if (previous->first + previous->second == hole->first) previous->second += hole->second, _free.erase(hole);
    }
    return true;
}

bool DeviceMemory::find(uint64_t address, uint64_t& base, size_t& bytes) const
{
    auto next = _allocations.upper_bound(address);
    if (next == _allocations.begin()) return false;
    auto at = std::prev(next);
    if (address - at->first >= at->second) return false;
    base = at->first, bytes = at->second;
    return true;
}

bool DeviceMemory::holds(uint64_t address, size_t bytes) const
{
    uint64_t base = 0;
    size_t size = 0;
    return find(address, base, size) && bytes <= size - (address - base);
}
}
