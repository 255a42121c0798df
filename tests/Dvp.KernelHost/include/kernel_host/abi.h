// abi.h: what a compiled module and the driver that runs it share. Included by both sides; nothing here depends on a system header.

#pragma once

#include "vector_types.h"

namespace kernel_host
{
constexpr unsigned kAbiVersion = 1;
constexpr unsigned kWarpSize = 32;

// A copy that cp.async has begun and that has not arrived.
struct AsyncCopy
{
    void* target;
    const void* source;
    unsigned bytes;        // written at target
    unsigned source_bytes; // read from source; the rest of target becomes zero
    unsigned group;        // number of the commit that closes it
};

// The copies of one thread that are under way, in order.
struct AsyncCopies
{
    static constexpr unsigned kCapacity = 512;
    AsyncCopy* copies; // a ring of kCapacity
    unsigned first, count;
    unsigned open_group; // number that the next commit gives
};

struct Thread
{
    uint3 index; // threadIdx
    unsigned number; // x + blockDim.x * (y + blockDim.y * z)
    unsigned lane;   // number % 32
    AsyncCopies async_copies;
};

struct Block
{
    uint3 index; // blockIdx
    uint3 threads; // blockDim
    uint3 blocks;  // gridDim
    unsigned char* dynamic_shared;
    unsigned dynamic_shared_bytes;
};

// What the last lane to arrive at a warp operation runs: lanes[i] is what lane i brought, or null for a lane that is not taking part.
typedef void (*WarpOperation)(void* const* lanes);

enum class Vote { None, Any, All, Count };

enum class Access : unsigned { Read, Write, Atomic };

// What a module may ask of the driver.
struct Runtime
{
    int (*barrier)(Vote vote, int value);
    void (*warp)(unsigned mask, void* mine, WarpOperation operation, const char* name);
    unsigned (*active_lanes)();
    void (*fault)(const char* what); // ends the launch with a report; does not return
    void (*access)(const void* address, size_t bytes, Access access, const void* site);
    void (*misaligned)(const void* address, size_t bytes, const void* site);
    int (*print)(const char* format, __builtin_va_list arguments);
};

// The driver's view of a module while it runs; one a module, filled by the driver.
struct State
{
    Thread* thread; // the thread that runs now
    Block* block;   // the block that runs now
    const Runtime* runtime;
    size_t quiet_first, quiet_bytes; // stacks and thread records: accesses there are nobody's business
};

struct Entry
{
    const char* name;
    void (*invoke)(void* const* arguments);
    const unsigned* sizes; // bytes of each parameter
    unsigned parameters;
    unsigned max_threads; // of __launch_bounds__, or 0
};

struct Module
{
    unsigned abi_version;
    State* state;
    const Entry* entries;
    unsigned count;
};
}
