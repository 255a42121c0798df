// counters.h: what the device has done so far.

#pragma once

#include <string>

namespace host
{
struct Counters
{
    unsigned long long launches = 0, graph_launches = 0, copies = 0, copied_bytes = 0, modules = 0, allocations = 0;
    unsigned long long bytes_read = 0, bytes_written = 0; // global memory, by kernels; mode check
    unsigned long long allocated_bytes = 0, peak_bytes = 0; // now, and at most
    unsigned long long failures = 0;
};

// What the last launch that failed was reported with.
inline std::string& last_report()
{
    static auto* report = new std::string;
    return *report;
}

inline Counters& counters()
{
    static Counters all;
    return all;
}
}
