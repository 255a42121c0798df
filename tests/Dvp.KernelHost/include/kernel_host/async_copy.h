// async_copy.h: cp.async. A copy is made when the thread waits for its group and not before, so that a missing wait shows as stale data.

#pragma once

#include "builtins.h"

namespace kernel_host
{
inline void arrive(AsyncCopies& pending)
{
    AsyncCopy copy = pending.copies[pending.first];
    pending.first = (pending.first + 1) % AsyncCopies::kCapacity;
    pending.count--;
    // In words, as a kernel would: the accesses are then seen by the checks like any other. No word crosses the end of what is read.
    unsigned word = 16;
    while (copy.bytes % word != 0 || copy.source_bytes % word != 0) word /= 2;
    for (unsigned at = 0; at < copy.bytes; at += word)
    {
        bool zero = at >= copy.source_bytes;
        char* target = static_cast<char*>(copy.target) + at;
        const char* source = static_cast<const char*>(copy.source) + at;
        if (word == 16) *reinterpret_cast<uint4*>(target) = zero ? uint4{} : *reinterpret_cast<const uint4*>(source);
        else if (word == 8) *reinterpret_cast<uint2*>(target) = zero ? uint2{} : *reinterpret_cast<const uint2*>(source);
        else if (word == 4) *reinterpret_cast<unsigned*>(target) = zero ? 0 : *reinterpret_cast<const unsigned*>(source);
        else if (word == 2) *reinterpret_cast<unsigned short*>(target) = zero ? 0 : *reinterpret_cast<const unsigned short*>(source);
        else *target = zero ? 0 : *source;
    }
}

// Begins a copy of source_bytes (at most bytes; the rest of bytes is filled with zeros) into shared memory.
inline void async_copy(void* target, const void* source, unsigned bytes, unsigned source_bytes)
{
    if (reinterpret_cast<size_t>(target) % bytes != 0 || (source_bytes != 0 && reinterpret_cast<size_t>(source) % bytes != 0))
        kernel_host_state.runtime->fault("an address of cp.async is not aligned to the bytes that it copies");
    AsyncCopies& pending = kernel_host_state.thread->async_copies;
    if (pending.count == AsyncCopies::kCapacity) kernel_host_state.runtime->fault("more than 512 copies of cp.async are under way in one thread");
    pending.copies[(pending.first + pending.count) % AsyncCopies::kCapacity] = {target, source, bytes, source_bytes, pending.open_group};
    pending.count++;
}

inline void async_commit() { kernel_host_state.thread->async_copies.open_group++; }

// Waits until at most the given number of the latest committed groups is under way.
inline void async_wait(unsigned groups)
{
    AsyncCopies& pending = kernel_host_state.thread->async_copies;
    while (pending.count != 0 && pending.open_group - pending.copies[pending.first].group > groups) arrive(pending);
}

// Waits for everything, committed or not.
inline void async_wait_all()
{
    AsyncCopies& pending = kernel_host_state.thread->async_copies;
    while (pending.count != 0) arrive(pending);
}
}
