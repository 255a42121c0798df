// access_report.cpp: naming a cell and saying what happened to it.

#include "access_report.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "device_memory.h"
#include "team.h"

namespace host
{
namespace
{
using kernel_host::Access;

uint64_t s_named = 0;
size_t s_named_bytes = 0;

std::string number(uint64_t v) { return std::to_string(v); }

const char* verb(Access access) { return access == Access::Read ? "reads" : access == Access::Write ? "writes" : "changes"; }

// part of _ZZ28layernorm_backward_parametersE4part.
std::string plain_name(const std::string& mangled)
{
    for (size_t at = mangled.rfind('E'); at != std::string::npos && at != 0; at = mangled.rfind('E', at - 1))
    {
        char* end = nullptr;
        unsigned long length = std::strtoul(mangled.c_str() + at + 1, &end, 10);
        if (length != 0 && std::string(end).size() >= length) return std::string(end, length);
    }
    return mangled;
}

// "byte 12 of a buffer of 1024 bytes", "4 bytes behind the end of shared tile (4096 bytes)".
std::string beside(const std::string& what, uint64_t base, uint64_t bytes, uint64_t address)
{
    if (address < base) return number(base - address) + " bytes before " + what + " of " + number(bytes) + " bytes";
    if (address - base >= bytes) return number(address - base - bytes) + " bytes behind the end of " + what + " of " + number(bytes) + " bytes";
    return "byte " + number(address - base) + " of " + what + " of " + number(bytes) + " bytes";
}

uint64_t distance(uint64_t base, uint64_t bytes, uint64_t address)
{
    return address < base ? base - address : address - base >= bytes ? address - base - bytes + 1 : 0;
}

std::string device_cell(uint64_t address)
{
    const auto& all = DeviceMemory::one().allocations();
    auto next = all.upper_bound(address);
    auto best = next != all.begin() ? std::prev(next) : next;
    if (next != all.end() && (next == all.begin() || distance(next->first, next->second, address) < distance(best->first, best->second, address))) best = next;
    char text[64];
    std::snprintf(text, sizeof text, "the buffer 0x%llx", best == all.end() ? 0ull : static_cast<unsigned long long>(best->first));
    return best == all.end() ? "no buffer" : beside(text, best->first, best->second, address);
}

std::string cell(uint64_t address)
{
    if (DeviceMemory::one().in_range(address)) return device_cell(address);
    if (address - s_named < s_named_bytes + 4096) return beside("dynamic shared memory", s_named, s_named_bytes, address);
    const Module& module = *Team::one().function()->module;
    const Symbol* best = nullptr;
    for (const Symbol& symbol : module.shared)
    {
        if (best == nullptr || distance(module.base + symbol.address, symbol.bytes, address) < distance(module.base + best->address, best->bytes, address))
            best = &symbol;
    }
    if (best != nullptr && address - module.base < module.bytes)
        return beside("shared " + plain_name(best->name), module.base + best->address, best->bytes, address);
    char text[64];
    std::snprintf(text, sizeof text, "address 0x%llx, which is not device memory", static_cast<unsigned long long>(address));
    return text;
}
}

void report_dynamic_shared(const unsigned char* memory, size_t bytes) { s_named = reinterpret_cast<uint64_t>(memory), s_named_bytes = bytes; }

void fail_outside(uint64_t address, size_t bytes, Access access, const void* site)
{
    Team::one().fail(std::string("out of bounds: a thread ") + verb(access) + " " + number(bytes) + " bytes at " + cell(address), site);
}

void fail_unwritten(uint64_t address, size_t bytes, const void* site)
{
    Team::one().fail("not written: a thread reads " + number(bytes) + " bytes at " + cell(address) + ", which nobody wrote", site);
}

void fail_misaligned(uint64_t address, size_t bytes, const void* site)
{
    Team::one().fail("misaligned: an access of " + number(bytes) + " bytes at " + cell(address), site);
}

void fail_race(uint64_t address, size_t bytes, Access access, bool between_blocks, unsigned other_thread, bool other_writes, const void* site)
{
    std::string other = between_blocks ? "another block of the launch" : "thread number " + number(other_thread) + " of the block";
    Team::one().fail("race: a thread " + std::string(verb(access)) + " " + number(bytes) + " bytes at " + cell(address) + ", which " + other +
        (other_writes ? " writes" : " reads") + " with nothing to order the two", site);
}
}
