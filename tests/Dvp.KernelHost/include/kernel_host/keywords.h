// keywords.h: the words that CUDA adds to C++.

#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__ __attribute__((section("kernel_constant")))
// One block runs at a time in a module, so a block's shared memory is the module's static storage. The mode check puts gaps between, so that
// what runs over one array does not land in the next.
#ifdef KERNEL_HOST_CHECK
#define KERNEL_HOST_JOIN(a, b) a##b
#define KERNEL_HOST_GAP(number) KERNEL_HOST_JOIN(kernel_host_gap_, number)
#define __shared__ static char KERNEL_HOST_GAP(__COUNTER__)[64] __attribute__((used)); static
#else
#define __shared__ static
#endif
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...) // read by the rewriter before this, see src/rewrite.cpp
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_assume(condition) ((condition) ? (void)0 : __builtin_unreachable())
#define __restrict __restrict__

typedef decltype(sizeof 0) size_t;
typedef decltype((char*)0 - (char*)0) ptrdiff_t;
