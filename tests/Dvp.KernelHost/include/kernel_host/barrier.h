// barrier.h: barriers of a block, and fences.

#pragma once

#include "builtins.h"

static inline void __syncthreads() { kernel_host_state.runtime->barrier(kernel_host::Vote::None, 0); }
static inline int __syncthreads_or(int predicate) { return kernel_host_state.runtime->barrier(kernel_host::Vote::Any, predicate); }
static inline int __syncthreads_and(int predicate) { return kernel_host_state.runtime->barrier(kernel_host::Vote::All, predicate); }
static inline int __syncthreads_count(int predicate) { return kernel_host_state.runtime->barrier(kernel_host::Vote::Count, predicate); }

// Threads of the host run one at a time and in order; a fence only keeps the compiler from moving accesses.
static inline void __threadfence() { asm volatile("" ::: "memory"); }
static inline void __threadfence_block() { asm volatile("" ::: "memory"); }
static inline void __threadfence_system() { asm volatile("" ::: "memory"); }
