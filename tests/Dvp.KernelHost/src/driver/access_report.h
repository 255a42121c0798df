// access_report.h: what the checker says. Each ends the launch.

#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel_host/abi.h"

namespace host
{
[[noreturn]] void fail_outside(uint64_t address, size_t bytes, kernel_host::Access access, const void* site);
[[noreturn]] void fail_unwritten(uint64_t address, size_t bytes, const void* site);
[[noreturn]] void fail_misaligned(uint64_t address, size_t bytes, const void* site);
[[noreturn]] void fail_race(uint64_t address, size_t bytes, kernel_host::Access access, bool between_blocks, unsigned other_thread, bool other_writes,
    const void* site);

// Bounds of dynamic shared memory, for the names of cells.
void report_dynamic_shared(const unsigned char* memory, size_t bytes);
}
