// team.cpp: running a block. In the usual order a warp runs until all its lanes wait at a barrier, then the next warp does; in the mode
// permute any thread that can go on may be the next.

#include "team.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <sys/mman.h>

#include "checker.h"
#include "fiber.h"
#include "limits.h"
#include "mode.h"

namespace host
{
namespace
{
using kernel_host::AsyncCopies;
using kernel_host::AsyncCopy;
using kernel_host::kWarpSize;
using kernel_host::Vote;

constexpr unsigned kThreads = Limits::kThreadsPerBlock;
constexpr size_t kPage = 4096;
constexpr size_t kLine = 64;
constexpr size_t kStack = (64 << 10) + kPage, kStackStep = kStack + kPage; // a page without access lies below each stack
constexpr size_t kFiberBytes = (kThreads * sizeof(Fiber) + kPage - 1) / kPage * kPage;
constexpr size_t kParameterBytes = 8 * kPage;
constexpr size_t kRingBytes = kThreads * AsyncCopies::kCapacity * sizeof(AsyncCopy);
constexpr size_t kStacksAt = kFiberBytes + kParameterBytes + kRingBytes;
constexpr size_t kTotal = kStacksAt + kThreads * kStackStep;

std::string triple(const uint3& v) { return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")"; }
}

Team* Team::s_one = nullptr;

// Lives as long as the process: a module may still be running when static objects go.
Team& Team::make()
{
    s_one = new Team;
    return *s_one;
}

Team::Team()
{
    void* memory = mmap(nullptr, kTotal, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("kernel host: no memory for the stacks of a block");
    _memory = static_cast<unsigned char*>(memory);
    _fibers = reinterpret_cast<Fiber*>(_memory);
    _lanes = reinterpret_cast<void**>(_memory + kFiberBytes + kParameterBytes - kPage / 2);
    for (unsigned i = 0; i < kThreads; i++)
    {
        _fibers[i].thread.async_copies.copies = reinterpret_cast<AsyncCopy*>(_memory + kFiberBytes + kParameterBytes) + i * AsyncCopies::kCapacity;
    }
}

size_t Team::quiet_bytes() const { return kTotal; }
unsigned char* Team::parameter_space() const { return _memory + kFiberBytes; }
kernel_host::Block& Team::block() const { return *reinterpret_cast<kernel_host::Block*>(_memory + kFiberBytes + kParameterBytes - kPage); }

// A page without access is two mappings more, and a process may have some 65,000: only the stacks that a block uses get one, until the device goes.
void Team::guard(unsigned stacks)
{
    for (; _guarded < stacks; _guarded++) mprotect(_memory + kStacksAt + _guarded * kStackStep, kPage, PROT_NONE);
}

// A thread gets its stack when it first runs and gives it back when it leaves: threads that wait for nobody share one, which stays in the cache.
// Stacks begin at different lines of their first page, since all those at the same line would compete for the same few places in the cache.
void Team::take_stack(Fiber& fiber)
{
    if (_free_stacks.empty()) _free_stacks.push_back(_stacks++);
    fiber.stack = _free_stacks.back();
    _free_stacks.pop_back();
    guard(_stacks);
    size_t colour = fiber.stack * 5 % (kPage / kLine) * kLine;
    fiber.stack_pointer = new_fiber(_memory + kStacksAt + fiber.stack * kStackStep + kPage, kStack - colour, &Team::fiber_main);
}

void Team::release_guards()
{
    if (_guarded != 0) mprotect(_memory + kStacksAt, kTotal - kStacksAt, PROT_READ | PROT_WRITE); // one mapping again
    _guarded = 0;
}

void Team::start()
{
    const kernel_host::Block& block = Team::block();
    _count = block.threads.x * block.threads.y * block.threads.z;
    _live = _count, _at_barrier = 0, _barriers = 0;
    _failed = false;
    _stacks = 0;
    _free_stacks.clear();
    for (unsigned i = 0; i < _count; i++)
    {
        Fiber& fiber = _fibers[i];
        fiber.thread.index = {i % block.threads.x, i / block.threads.x % block.threads.y, i / (block.threads.x * block.threads.y)};
        fiber.thread.number = i;
        fiber.thread.lane = i % kWarpSize;
        fiber.thread.async_copies.first = fiber.thread.async_copies.count = fiber.thread.async_copies.open_group = 0;
        fiber.status = Status::Ready;
        fiber.stack_pointer = nullptr;
    }
    for (unsigned w = 0; w * kWarpSize < _count; w++)
    {
        unsigned lanes = std::min(kWarpSize, _count - w * kWarpSize);
        _warps[w].live = lanes == kWarpSize ? 0xffffffffu : (1u << lanes) - 1;
        _warps[w].epoch = 0;
        _warps[w].meetings.clear();
    }
}

void Team::fiber_main()
{
    Team& team = one();
    team._function->entry->invoke(team._arguments);
    team.leave();
}

bool Team::run(const Function& function, void* const* arguments, unsigned long long order_seed)
{
    _function = &function;
    _arguments = arguments;
    _state = function.module->table->state;
    _state->block = &block();
    start();
    _current = nullptr;
    _random = RandomOrder(order_seed);
    while (_live != 0 && !_failed)
    {
        if (mode().permute ? pass_permuted() : pass_in_order()) continue;
        if (_failed) break;
        if (_at_barrier == _live) release_barrier();
        else _failure = stuck(), _failed = true, _current = nullptr;
    }
    if (!_failed) _current = nullptr;
    return !_failed;
}

bool Team::pass_in_order()
{
    bool progress = false;
    for (unsigned first = 0; first < _count; first += kWarpSize)
    {
        for (bool again = true; again;)
        {
            again = false;
            for (unsigned i = first; i < std::min(first + kWarpSize, _count); i++)
            {
                if (_fibers[i].status != Status::Ready) continue;
                resume(_fibers[i]);
                if (_failed) return true;
                again = progress = true;
            }
        }
    }
    return progress;
}

bool Team::pass_permuted()
{
    _order.clear();
    for (unsigned i = 0; i < _count; i++) if (_fibers[i].status == Status::Ready) _order.push_back(i);
    _random.shuffle(_order);
    for (unsigned i : _order)
    {
        resume(_fibers[i]);
        if (_failed) return true;
    }
    return !_order.empty();
}

void Team::resume(Fiber& fiber)
{
    if (fiber.stack_pointer == nullptr) take_stack(fiber);
    _current = &fiber;
    _state->thread = &fiber.thread;
    host_switch(&_scheduler, fiber.stack_pointer);
}

void Team::wait(Status status)
{
    Fiber& fiber = *_current;
    fiber.status = status;
    host_switch(&fiber.stack_pointer, _scheduler);
}

void Team::leave()
{
    Fiber& fiber = *_current;
    fiber.status = Status::Left;
    _live--;
    Warp& warp = _warps[warp_of(fiber)];
    warp.live &= ~(1u << fiber.thread.lane);
    for (size_t i = 0; i < warp.meetings.size();)
    {
        if (!complete(warp, warp.meetings[i])) i++;
    }
    _free_stacks.push_back(fiber.stack); // nobody else takes it before the switch
    host_switch(&fiber.stack_pointer, _scheduler);
    __builtin_unreachable();
}

int Team::barrier(Vote vote, int value)
{
    _current->vote = value;
    _current->vote_kind = vote;
    _at_barrier++;
    wait(Status::AtBarrier);
    return _current->vote;
}

void Team::release_barrier()
{
    unsigned count = 0;
    bool any = false, all = true;
    Vote kind = Vote::None;
    bool first = true, mixed = false;
    for (unsigned i = 0; i < _count; i++)
    {
        const Fiber& fiber = _fibers[i];
        if (fiber.status == Status::Left) continue;
        mixed |= !first && fiber.vote_kind != kind;
        kind = fiber.vote_kind, first = false;
        any |= fiber.vote != 0, all &= fiber.vote != 0, count += fiber.vote != 0;
    }
    if (mixed)
    {
        _failure = "threads of a block meet at different barriers (__syncthreads, __syncthreads_or, ...)";
        _failed = true;
        return;
    }
    for (unsigned i = 0; i < _count; i++)
    {
        Fiber& fiber = _fibers[i];
        if (fiber.status != Status::AtBarrier) continue;
        fiber.vote = kind == Vote::Any ? any : kind == Vote::All ? all : static_cast<int>(count);
        fiber.status = Status::Ready;
    }
    _at_barrier = 0;
    _barriers++;
    Checker::barrier();
}

void Team::meet(unsigned mask, void* record, kernel_host::WarpOperation operation, const char* name)
{
    Fiber& fiber = *_current;
    Warp& warp = _warps[warp_of(fiber)];
    unsigned lane = 1u << fiber.thread.lane;
    if ((mask & lane) == 0) fail(std::string(name) + " is called by a lane that its mask leaves out");
    Meeting* meeting = nullptr;
    for (Meeting& other : warp.meetings)
    {
        if (other.mask == mask && other.operation == operation) meeting = &other;
        else if ((other.mask & mask) != 0) fail(std::string("lanes of a warp meet in different operations: ") + other.name + " and " + name);
    }
    if (meeting == nullptr)
    {
        warp.meetings.push_back({mask, 0, operation, name, {}});
        meeting = &warp.meetings.back();
    }
    meeting->arrived |= lane;
    meeting->records[fiber.thread.lane] = record;
    fiber.status = Status::InWarp;
    if (complete(warp, *meeting)) return;
    host_switch(&fiber.stack_pointer, _scheduler);
}

// Ends a meeting when all its lanes that are still there have come.
bool Team::complete(Warp& warp, Meeting& meeting)
{
    if ((meeting.mask & warp.live & ~meeting.arrived) != 0) return false;
    std::copy(std::begin(meeting.records), std::end(meeting.records), _lanes);
    meeting.operation(_lanes);
    Fiber* first = _fibers + (&warp - _warps) * kWarpSize;
    for (unsigned i = 0; i < kWarpSize; i++) if (meeting.arrived >> i & 1) first[i].status = Status::Ready;
    if (std::strcmp(meeting.name, "__syncwarp") == 0) warp.epoch++; // what shuffles and votes order is registers, not memory
    warp.meetings.erase(warp.meetings.begin() + (&meeting - warp.meetings.data()));
    return true;
}

std::string Team::stuck() const
{
    unsigned barrier = 0, other = 0;
    const Fiber* waiting = nullptr;
    for (unsigned i = 0; i < _count; i++)
    {
        barrier += _fibers[i].status == Status::AtBarrier;
        if (_fibers[i].status == Status::InWarp) other++, waiting = waiting == nullptr ? &_fibers[i] : waiting;
    }
    const char* name = waiting == nullptr ? "nothing" : _warps[warp_of(*waiting)].meetings.front().name;
    return "a barrier is not reached by all threads: " + std::to_string(barrier) + " wait in __syncthreads, " + std::to_string(other) + " in " + name +
        (waiting == nullptr ? "" : " (thread " + triple(waiting->thread.index) + " among them)");
}

std::string Team::where() const
{
    std::string text = _function->entry->name;
    text += ", block " + triple(block().index);
    if (_current != nullptr) text += ", thread " + triple(_current->thread.index);
    return text;
}

void Team::fail(const std::string& what, const void* site)
{
    std::string line = _function->module->place(site);
    _failure = what + (line.empty() ? "" : " at " + line);
    _failed = true;
    host_switch(&_current->stack_pointer, _scheduler);
    __builtin_unreachable();
}

bool Team::machine_fault(int signal, const void* address, uintptr_t stack_pointer, void** stack)
{
    if (_current == nullptr || stack_pointer - reinterpret_cast<uintptr_t>(_memory + kStacksAt) >= kThreads * kStackStep) return false;
    auto at = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(_memory + kStacksAt);
    char text[96];
    if (signal == SIGFPE) std::snprintf(text, sizeof text, "an integer is divided by zero");
    else std::snprintf(text, sizeof text, at < kThreads * kStackStep ? "the stack of a thread is used up (64 KiB), near %p" : "an access to address %p faults", address);
    _failure = text;
    _failed = true;
    *stack = _scheduler;
    return true;
}
}
