// limits.h: the limits of the device that the host stands for.

#pragma once

#include <cstddef>
#include <string>

#include "mode.h"

namespace host
{
struct Limits
{
    unsigned multiprocessors, threads_per_multiprocessor, blocks_per_multiprocessor;
    unsigned shared_per_multiprocessor, shared_opt_in;
    static constexpr unsigned kThreadsPerBlock = 1024, kShared = 48 << 10, kReservedShared = 1 << 10, kRegisters = 65536, kRegistersPerThread = 40;
    static constexpr size_t kMemory = size_t(16) << 30;
    static constexpr size_t kDynamicRoom = 256 << 10; // more shared memory than any device gives a block
};

// A100, RTX 4090, H100, B200 and RTX 5090 by compute capability.
inline Limits limits()
{
    const Mode& m = mode();
    if (m.major == 8 && m.minor == 0) return {108, 2048, 32, 164 << 10, 163 << 10};
    if (m.major == 8) return {128, 1536, 24, 100 << 10, 99 << 10};
    if (m.major == 9) return {132, 2048, 32, 228 << 10, 227 << 10};
    if (m.major == 10) return {148, 2048, 32, 228 << 10, 227 << 10};
    return {170, 1536, 24, 100 << 10, 99 << 10};
}

inline std::string device_name() { return "kernel host (sm_" + std::to_string(mode().major) + std::to_string(mode().minor) + ")"; }
}
