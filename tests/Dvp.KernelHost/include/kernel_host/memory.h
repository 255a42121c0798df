// memory.h: loads and stores with cache hints, atomics, and addresses of shared memory.

#pragma once

#define KERNEL_HOST_LOAD(name) \
    template <class T>         \
    static inline T name(const T* p) { return *p; }
KERNEL_HOST_LOAD(__ldg) KERNEL_HOST_LOAD(__ldca) KERNEL_HOST_LOAD(__ldcg) KERNEL_HOST_LOAD(__ldcs) KERNEL_HOST_LOAD(__ldlu) KERNEL_HOST_LOAD(__ldcv)
#undef KERNEL_HOST_LOAD

#define KERNEL_HOST_STORE(name) \
    template <class T>          \
    static inline void name(T* p, T v) { *p = v; }
KERNEL_HOST_STORE(__stwb) KERNEL_HOST_STORE(__stcg) KERNEL_HOST_STORE(__stcs) KERNEL_HOST_STORE(__stwt)
#undef KERNEL_HOST_STORE

// An address in shared memory as the generic address it comes from: the host has one address space.
static inline size_t __cvta_generic_to_shared(const void* p) { return reinterpret_cast<size_t>(p); }
static inline size_t __cvta_generic_to_global(const void* p) { return reinterpret_cast<size_t>(p); }

// Threads of a launch never run at the same time, so an atomic is a read, an operation and a write; it is reported as one access.
namespace kernel_host
{
template <class T, class Operation>
inline T atomic(T* p, Operation operate)
{
#ifdef KERNEL_HOST_CHECK
    kernel_host_state.runtime->access(p, sizeof(T), Access::Atomic, __builtin_return_address(0));
#endif
    T old;
    __builtin_memcpy(&old, p, sizeof old);
    T value = operate(old);
    __builtin_memcpy(p, &value, sizeof value);
    return old;
}
}

#ifdef KERNEL_HOST_CHECK
#define KERNEL_HOST_ATOMIC static inline __attribute__((no_sanitize("thread")))
#else
#define KERNEL_HOST_ATOMIC static inline
#endif
template <class T> KERNEL_HOST_ATOMIC T atomicAdd(T* p, T v) { return kernel_host::atomic(p, [&](T a) { return T(a + v); }); }
template <class T> KERNEL_HOST_ATOMIC T atomicSub(T* p, T v) { return kernel_host::atomic(p, [&](T a) { return T(a - v); }); }
template <class T> KERNEL_HOST_ATOMIC T atomicMin(T* p, T v) { return kernel_host::atomic(p, [&](T a) { return v < a ? v : a; }); }
template <class T> KERNEL_HOST_ATOMIC T atomicMax(T* p, T v) { return kernel_host::atomic(p, [&](T a) { return a < v ? v : a; }); }
template <class T> KERNEL_HOST_ATOMIC T atomicAnd(T* p, T v) { return kernel_host::atomic(p, [&](T a) { return T(a & v); }); }
template <class T> KERNEL_HOST_ATOMIC T atomicOr(T* p, T v) { return kernel_host::atomic(p, [&](T a) { return T(a | v); }); }
template <class T> KERNEL_HOST_ATOMIC T atomicXor(T* p, T v) { return kernel_host::atomic(p, [&](T a) { return T(a ^ v); }); }
template <class T> KERNEL_HOST_ATOMIC T atomicExch(T* p, T v) { return kernel_host::atomic(p, [&](T) { return v; }); }
template <class T> KERNEL_HOST_ATOMIC T atomicCAS(T* p, T compare, T v) { return kernel_host::atomic(p, [&](T a) { return a == compare ? v : a; }); }
KERNEL_HOST_ATOMIC unsigned atomicInc(unsigned* p, unsigned v) { return kernel_host::atomic(p, [&](unsigned a) { return a >= v ? 0 : a + 1; }); }
KERNEL_HOST_ATOMIC unsigned atomicDec(unsigned* p, unsigned v) { return kernel_host::atomic(p, [&](unsigned a) { return a == 0 || a > v ? v : a - 1; }); }
#undef KERNEL_HOST_ATOMIC
