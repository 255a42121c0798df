// access_callbacks.h: what -fsanitize=thread calls before each load and store. The module is linked without that sanitizer's runtime;
// these forward address, size and place to the driver, which knows what may be touched.

#pragma once

#include "builtins.h"

#define KERNEL_HOST_CALLBACK extern "C" __attribute__((no_sanitize("thread"), noinline, used)) void

namespace kernel_host
{
inline __attribute__((no_sanitize("thread"), always_inline)) void touch(const void* p, size_t bytes, Access access, const void* site)
{
    if (reinterpret_cast<size_t>(p) - kernel_host_state.quiet_first < kernel_host_state.quiet_bytes) return;
    kernel_host_state.runtime->access(p, bytes, access, site);
}
inline __attribute__((no_sanitize("thread"), always_inline)) void touch_aligned(const void* p, size_t bytes, Access access, const void* site)
{
    if (reinterpret_cast<size_t>(p) % bytes != 0) kernel_host_state.runtime->misaligned(p, bytes, site);
    touch(p, bytes, access, site);
}
}

#define KERNEL_HOST_CALLBACKS(bytes) \
    KERNEL_HOST_CALLBACK __tsan_read##bytes(void* p) { kernel_host::touch_aligned(p, bytes, kernel_host::Access::Read, __builtin_return_address(0)); } \
    KERNEL_HOST_CALLBACK __tsan_volatile_read##bytes(void* p) { kernel_host::touch_aligned(p, bytes, kernel_host::Access::Read, __builtin_return_address(0)); } \
    KERNEL_HOST_CALLBACK __tsan_unaligned_read##bytes(void* p) { kernel_host::touch(p, bytes, kernel_host::Access::Read, __builtin_return_address(0)); } \
    KERNEL_HOST_CALLBACK __tsan_write##bytes(void* p) { kernel_host::touch_aligned(p, bytes, kernel_host::Access::Write, __builtin_return_address(0)); } \
    KERNEL_HOST_CALLBACK __tsan_volatile_write##bytes(void* p) { kernel_host::touch_aligned(p, bytes, kernel_host::Access::Write, __builtin_return_address(0)); } \
    KERNEL_HOST_CALLBACK __tsan_unaligned_write##bytes(void* p) { kernel_host::touch(p, bytes, kernel_host::Access::Write, __builtin_return_address(0)); }
KERNEL_HOST_CALLBACKS(1)
KERNEL_HOST_CALLBACKS(2)
KERNEL_HOST_CALLBACKS(4)
KERNEL_HOST_CALLBACKS(8)
KERNEL_HOST_CALLBACKS(16)
#undef KERNEL_HOST_CALLBACKS

KERNEL_HOST_CALLBACK __tsan_read_range(void* p, size_t bytes)
{
    kernel_host::touch(p, bytes, kernel_host::Access::Read, __builtin_return_address(0));
}
KERNEL_HOST_CALLBACK __tsan_write_range(void* p, size_t bytes)
{
    kernel_host::touch(p, bytes, kernel_host::Access::Write, __builtin_return_address(0));
}
KERNEL_HOST_CALLBACK __tsan_init() {}
KERNEL_HOST_CALLBACK __tsan_func_entry(void*) {}
KERNEL_HOST_CALLBACK __tsan_func_exit() {}
KERNEL_HOST_CALLBACK __tsan_vptr_update(void**, void*) {}
#undef KERNEL_HOST_CALLBACK
