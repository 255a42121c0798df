// warp.h: what the lanes of a warp do together. Everything stands on one primitive, warp_collective: each lane brings a record, the last
// lane to arrive sees the records of all and writes every lane's answer into its record, and then all go on.

#pragma once

#include "builtins.h"

namespace kernel_host
{
// All lanes of mask (those that have not left the kernel) call it together, each with its own record; operate(lanes) runs once.
// lanes[i] is null for a lane that is not in mask or has left.
//
//     struct Record { float in, out; } mine{v, 0};
//     kernel_host::warp_collective(0xffffffffu, mine, [](Record* const* lanes) { ... lanes[i]->out = ...; }, "name");
// operate must capture nothing: what it needs belongs into the record.
template <class Record, class Operation>
inline void warp_collective(unsigned mask, Record& mine, Operation operate, const char* name)
{
    void (*function)(Record* const*) = operate;
    kernel_host_state.runtime->warp(mask, &mine, reinterpret_cast<WarpOperation>(function), name);
}

template <class T>
struct Shuffle
{
    T in, out;
    int source; // the lane to read, or -1 for one's own
};

// What an absent lane gives: a pattern that is NaN in every type, so that nobody can rely on it.
template <class T>
inline T absent()
{
    T v;
    __builtin_memset(&v, 0xff, sizeof v);
    return v;
}

template <class T>
inline T shuffle(unsigned mask, T v, int source, const char* name)
{
    Shuffle<T> mine{v, v, source};
    warp_collective(mask, mine, [](Shuffle<T>* const* lanes)
    {
        for (unsigned i = 0; i < kWarpSize; i++)
        {
            if (lanes[i] == nullptr || lanes[i]->source < 0) continue;
            Shuffle<T>* other = lanes[lanes[i]->source];
            lanes[i]->out = other == nullptr ? absent<T>() : other->in;
        }
    }, name);
    return mine.out;
}

inline int lane() { return static_cast<int>(kernel_host_state.thread->lane); }

struct Ballot { unsigned predicate, result; };

inline unsigned ballot(unsigned mask, int predicate, const char* name)
{
    Ballot mine{predicate != 0, 0};
    warp_collective(mask, mine, [](Ballot* const* lanes)
    {
        unsigned result = 0;
        for (unsigned i = 0; i < kWarpSize; i++) if (lanes[i] != nullptr) result |= lanes[i]->predicate << i;
        for (unsigned i = 0; i < kWarpSize; i++) if (lanes[i] != nullptr) lanes[i]->result = result;
    }, name);
    return mine.result;
}
}

static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    struct Nothing { char unused; } mine{0};
    kernel_host::warp_collective(mask, mine, [](Nothing* const*) {}, "__syncwarp");
}

// A lane whose source lies outside its segment of width lanes keeps its own value.
template <class T>
static inline T __shfl_sync(unsigned mask, T v, int source, int width = 32)
{
    int segment = kernel_host::lane() & ~(width - 1);
    return kernel_host::shuffle(mask, v, segment + (source & (width - 1)), "__shfl_sync");
}
template <class T>
static inline T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32)
{
    int lane = kernel_host::lane(), source = lane ^ lanes;
    return kernel_host::shuffle(mask, v, source > (lane | (width - 1)) ? -1 : source, "__shfl_xor_sync");
}
template <class T>
static inline T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32)
{
    int lane = kernel_host::lane(), source = lane - static_cast<int>(delta);
    return kernel_host::shuffle(mask, v, source < (lane & ~(width - 1)) ? -1 : source, "__shfl_up_sync");
}
template <class T>
static inline T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32)
{
    int lane = kernel_host::lane(), source = lane + static_cast<int>(delta);
    return kernel_host::shuffle(mask, v, source > (lane | (width - 1)) ? -1 : source, "__shfl_down_sync");
}

static inline unsigned __ballot_sync(unsigned mask, int predicate) { return kernel_host::ballot(mask, predicate, "__ballot_sync"); }
static inline int __any_sync(unsigned mask, int predicate) { return kernel_host::ballot(mask, predicate, "__any_sync") != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return kernel_host::ballot(mask, !predicate, "__all_sync") == 0; }
static inline unsigned __activemask() { return kernel_host_state.runtime->active_lanes(); }

template <class T>
static inline unsigned __match_any_sync(unsigned mask, T v)
{
    struct Match { T v; unsigned result; } mine{v, 0};
    kernel_host::warp_collective(mask, mine, [](Match* const* lanes)
    {
        for (unsigned i = 0; i < kernel_host::kWarpSize; i++)
            for (unsigned j = 0; j < kernel_host::kWarpSize; j++)
                if (lanes[i] != nullptr && lanes[j] != nullptr && lanes[i]->v == lanes[j]->v) lanes[i]->result |= 1u << j;
    }, "__match_any_sync");
    return mine.result;
}

#define KERNEL_HOST_WARP_REDUCE(name, T, expression)                                              \
    static inline T name(unsigned mask, T v)                                                      \
    {                                                                                             \
        struct Reduce { T v, result; } mine{v, 0};                                                \
        kernel_host::warp_collective(mask, mine, [](Reduce* const* lanes)                         \
        {                                                                                         \
            bool first = true;                                                                    \
            T a = 0;                                                                              \
            for (unsigned i = 0; i < kernel_host::kWarpSize; i++)                                 \
            {                                                                                     \
                if (lanes[i] == nullptr) continue;                                                \
                T b = lanes[i]->v;                                                                \
                a = first ? b : (expression);                                                     \
                first = false;                                                                    \
            }                                                                                     \
            for (unsigned i = 0; i < kernel_host::kWarpSize; i++) if (lanes[i] != nullptr) lanes[i]->result = a; \
        }, #name);                                                                                \
        return mine.result;                                                                       \
    }
KERNEL_HOST_WARP_REDUCE(__reduce_add_sync, unsigned, a + b)
KERNEL_HOST_WARP_REDUCE(__reduce_add_sync, int, a + b)
KERNEL_HOST_WARP_REDUCE(__reduce_min_sync, unsigned, a < b ? a : b)
KERNEL_HOST_WARP_REDUCE(__reduce_min_sync, int, a < b ? a : b)
KERNEL_HOST_WARP_REDUCE(__reduce_max_sync, unsigned, a < b ? b : a)
KERNEL_HOST_WARP_REDUCE(__reduce_max_sync, int, a < b ? b : a)
KERNEL_HOST_WARP_REDUCE(__reduce_and_sync, unsigned, a & b)
KERNEL_HOST_WARP_REDUCE(__reduce_or_sync, unsigned, a | b)
KERNEL_HOST_WARP_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
#undef KERNEL_HOST_WARP_REDUCE
