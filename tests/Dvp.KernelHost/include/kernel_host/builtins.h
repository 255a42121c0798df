// builtins.h: threadIdx and its kin.

#pragma once

#include "abi.h"

extern kernel_host::State kernel_host_state;

#define threadIdx (kernel_host_state.thread->index)
#define blockIdx (kernel_host_state.block->index)
#define blockDim (kernel_host_state.block->threads)
#define gridDim (kernel_host_state.block->blocks)
#define warpSize 32

namespace kernel_host
{
// extern __shared__ T name[] becomes T* const name = dynamic_shared<T>().
template <class T>
inline T* dynamic_shared() { return reinterpret_cast<T*>(kernel_host_state.block->dynamic_shared); }
}

static inline void __trap() { kernel_host_state.runtime->fault("the kernel called __trap"); }
static inline void __nanosleep(unsigned) {}

static inline int printf(const char* format, ...)
{
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    int written = kernel_host_state.runtime->print(format, arguments);
    __builtin_va_end(arguments);
    return written;
}
