// device_memory.h: the device's memory: one reserved range of addresses, handed out in pieces of 256 bytes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace host
{
class DeviceMemory
{
public:
    static DeviceMemory& one();

    // An address, or 0 when there is no room.
    uint64_t allocate(size_t bytes);
    bool release(uint64_t address);

    // True when the range lies in one allocation.
    bool holds(uint64_t address, size_t bytes) const;
    // The allocation that holds an address; false when none does.
    bool find(uint64_t address, uint64_t& base, size_t& bytes) const;
    bool in_range(uint64_t address) const { return address - _base < kRange; }
    uint64_t base() const { return _base; }
    size_t used() const { return _used; }
    const std::map<uint64_t, size_t>& allocations() const { return _allocations; }

    static constexpr size_t kRange = size_t(64) << 30, kUnit = 256;

private:
    DeviceMemory();
    uint64_t take(size_t bytes);

    uint64_t _base = 0;
    size_t _used = 0;
    std::map<uint64_t, size_t> _allocations; // address, bytes asked for
    std::map<uint64_t, size_t> _free;        // address, bytes, neighbours joined
};
}
