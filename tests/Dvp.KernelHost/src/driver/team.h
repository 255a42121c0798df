// team.h: the threads of a block as fibers, and where they wait for one another.

#pragma once

#include <string>
#include <vector>

#include "kernel_host/abi.h"
#include "module.h"
#include "random_order.h"

namespace host
{
enum class Status : unsigned char { Ready, AtBarrier, InWarp, Left };

struct Fiber
{
    kernel_host::Thread thread;
    void* stack_pointer; // null before the thread has run
    unsigned stack;      // number of its stack
    Status status;
    int vote;          // given at a barrier, and its answer
    kernel_host::Vote vote_kind;
};

// Lanes of a warp that wait for the rest of their mask.
struct Meeting
{
    unsigned mask, arrived;
    kernel_host::WarpOperation operation;
    const char* name;
    void* records[kernel_host::kWarpSize];
};

struct Warp
{
    unsigned live;  // lanes that have not left
    unsigned epoch; // calls of __syncwarp in this block so far: what happened before one happened before the next
    std::vector<Meeting> meetings;
};

// The fibers of one block at a time. There is one team; whoever runs a launch holds the driver's lock.
class Team
{
public:
    static Team& one() { return s_one == nullptr ? make() : *s_one; }

    // Runs a block to its end. False when it failed; failure() then says how.
    bool run(const Function& function, void* const* arguments, unsigned long long order_seed);
    const std::string& failure() const { return _failure; }

    // Nothing runs and the device goes: its stacks need no guards.
    void release_guards();

    // For the module's calls, on the stack of the running fiber.
    int barrier(kernel_host::Vote vote, int value);
    void meet(unsigned mask, void* record, kernel_host::WarpOperation operation, const char* name);
    unsigned live_lanes() const { return _warps[warp_of(*_current)].live; }
    [[noreturn]] void fail(const std::string& what, const void* site = nullptr);
    [[noreturn]] void leave();

    // A fault of the machine; the handler of signals calls it. True when it came from the stack of a fiber: the caller then resumes *stack.
    bool machine_fault(int signal, const void* address, uintptr_t stack_pointer, void** stack);

    const Fiber* current() const { return _current; }
    unsigned warp_epoch(unsigned warp) const { return _warps[warp].epoch; }
    unsigned barriers() const { return _barriers; }
    size_t quiet_first() const { return reinterpret_cast<size_t>(_memory); }
    size_t quiet_bytes() const;
    void* const* arguments() const { return _arguments; }
    const Function* function() const { return _function; }
    std::string where() const;

    // What the module reads of a launch lies in quiet memory: room for the parameters, and the block's record.
    unsigned char* parameter_space() const;
    kernel_host::Block& block() const;

private:
    Team();
    static Team& make();
    static Team* s_one;
    static unsigned warp_of(const Fiber& fiber) { return fiber.thread.number / kernel_host::kWarpSize; }
    static void fiber_main();
    void start();
    void guard(unsigned stacks);
    void take_stack(Fiber& fiber);
    void resume(Fiber& fiber);
    void wait(Status status);
    bool pass_in_order();
    bool pass_permuted();
    void release_barrier();
    bool complete(Warp& warp, Meeting& meeting);
    std::string stuck() const;

    unsigned char* _memory; // fibers, parameters, block and lanes, rings of asynchronous copies, stacks
    void** _lanes;          // records of the lanes that meet, in quiet memory
    Fiber* _fibers;
    Warp _warps[32];
    Fiber* _current = nullptr;
    void* _scheduler = nullptr; // its stack pointer while a fiber runs
    const Function* _function = nullptr;
    kernel_host::State* _state = nullptr; // the module's
    void* const* _arguments = nullptr;
    unsigned _guarded = 0; // stacks with a page without access below them
    unsigned _stacks = 0;  // stacks that the block has used so far
    std::vector<unsigned> _free_stacks; // of these, the ones that nobody has, the last one used at the end
    unsigned _count = 0, _live = 0, _at_barrier = 0, _barriers = 0;
    bool _failed = false;
    std::string _failure;
    RandomOrder _random;
    std::vector<unsigned> _order;
};
}
