// launch.cpp: blocks one after another, each on fresh, poisoned shared memory.

#include "launch.h"

#include <algorithm>
#include <cstring>
#include <cstdio>
#include <stdexcept>
#include <sys/mman.h>

#include "access_report.h"
#include "checker.h"
#include "counters.h"
#include "limits.h"
#include "machine_faults.h"
#include "mode.h"
#include "random_order.h"
#include "team.h"

namespace host
{
namespace
{
constexpr unsigned char kPoison = 0xff; // NaN in every floating type, -1 in every integer

// Dynamic shared memory: room for the largest block, with a page without access on both sides.
unsigned char* dynamic_shared()
{
    static unsigned char* memory = []
    {
        constexpr size_t bytes = Limits::kDynamicRoom, page = 4096;
        void* p = mmap(nullptr, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || mprotect(static_cast<char*>(p) + page, bytes, PROT_READ | PROT_WRITE) != 0)
            throw std::runtime_error("kernel host: no memory for shared memory");
        return static_cast<unsigned char*>(p) + page;
    }();
    return memory;
}

// The end of dynamic shared memory lies at the end of the mapping as far as its alignment to 128 bytes lets it: what runs over soon faults.
unsigned char* place_shared(unsigned bytes)
{
    return dynamic_shared() + (Limits::kDynamicRoom - (bytes + 127) / 128 * 128);
}

int print(const char* format, __builtin_va_list arguments)
{
    char text[1024];
    int written = std::vsnprintf(text, sizeof text, format, arguments);
    size_t length = std::strlen(text);
    while (length != 0 && text[length - 1] == '\n') text[--length] = 0;
    log_line(text);
    return written;
}

const kernel_host::Runtime kRuntime = {
    [](kernel_host::Vote vote, int value) { return Team::one().barrier(vote, value); },
    [](unsigned mask, void* mine, kernel_host::WarpOperation operation, const char* name) { Team::one().meet(mask, mine, operation, name); },
    []() { return Team::one().live_lanes(); },
    [](const char* what) { Team::one().fail(what); },
    Checker::access,
    Checker::misaligned,
    print,
};

// The order of blocks: as numbered, or shuffled in the mode permute.
std::vector<unsigned> order_of(unsigned blocks, RandomOrder& random)
{
    std::vector<unsigned> order(blocks);
    for (unsigned i = 0; i < blocks; i++) order[i] = i;
    if (mode().permute) random.shuffle(order);
    return order;
}

void poison(const Module& module, const kernel_host::Block& block)
{
    for (const Symbol& symbol : module.shared) std::memset(reinterpret_cast<void*>(module.base + symbol.address), kPoison, symbol.bytes);
    if (block.dynamic_shared_bytes != 0) std::memset(block.dynamic_shared, kPoison, block.dynamic_shared_bytes);
}
}

CUresult check_launch(const Function& function, const uint3& grid, const uint3& block, unsigned shared_bytes)
{
    unsigned long long threads = 1ull * block.x * block.y * block.z;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0) return CUDA_ERROR_INVALID_VALUE;
    if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || block.x > 1024 || block.y > 1024 || block.z > 64) return CUDA_ERROR_INVALID_VALUE;
    unsigned bound = function.entry->max_threads != 0 ? function.entry->max_threads : Limits::kThreadsPerBlock;
    if (threads > Limits::kThreadsPerBlock) return CUDA_ERROR_INVALID_VALUE;
    if (threads > bound) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    if (shared_bytes > function.dynamic_limit) return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

CUresult run_launch(const Launch& launch)
{
    static unsigned long long s_launches = 0;
    MachineFaults guard; // signals become failures of the fiber that raised them
    Team& team = Team::one();
    kernel_host::State& state = *launch.module->table->state;
    auto* runtime = reinterpret_cast<kernel_host::Runtime*>(team.parameter_space() + 2048);
    *runtime = kRuntime; // in quiet memory, since the module reads it
    state.runtime = runtime;
    state.quiet_first = team.quiet_first();
    state.quiet_bytes = team.quiet_bytes();

    // The parameters lie in quiet memory, as a device's lie in its constant bank.
    auto** pointers = reinterpret_cast<void**>(team.parameter_space());
    unsigned char* values = team.parameter_space() + 4096;
    for (size_t i = 0; i < launch.arguments.size(); i++)
    {
        pointers[i] = values;
        std::memcpy(values, launch.arguments[i].data(), launch.arguments[i].size());
        values += (launch.arguments[i].size() + 15) / 16 * 16;
    }

    RandomOrder random(mode().seed * 0x9e3779b97f4a7c15ull + ++s_launches);
    kernel_host::Block& block = team.block();
    block = {{}, launch.block, launch.grid, place_shared(launch.shared_bytes), launch.shared_bytes};
    Checker::begin_launch(launch, block.dynamic_shared);
    report_dynamic_shared(block.dynamic_shared, launch.shared_bytes);
    for (unsigned number : order_of(launch.grid.x * launch.grid.y * launch.grid.z, random))
    {
        block.index = {number % launch.grid.x, number / launch.grid.x % launch.grid.y, number / (launch.grid.x * launch.grid.y)};
        poison(*launch.module, block);
        Checker::begin_block();
        if (!team.run(*launch.function, pointers, random.next()))
        {
            last_report() = team.failure() + " in " + team.where();
            log_line("kernel host: " + last_report());
            counters().failures++;
            return CUDA_ERROR_ILLEGAL_ADDRESS;
        }
    }
    counters().launches++;
    return CUDA_SUCCESS;
}
}
