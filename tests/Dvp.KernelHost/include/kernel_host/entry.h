// entry.h: the table of entry points that the rewriter puts at the end of a module's text.

#pragma once

#include "abi.h"

namespace kernel_host
{
template <size_t... I> struct Positions {};

template <class Function, Function function> struct Caller;

template <class... P, void (*function)(P...)>
struct Caller<void (*)(P...), function>
{
    static constexpr unsigned count = sizeof...(P);
    static constexpr unsigned sizes[] = {sizeof(P)..., 0};
    template <size_t... I>
    static void spread(void* const* arguments, Positions<I...>) { function(*static_cast<P*>(arguments[I])...); }
    static void invoke(void* const* arguments) { spread(arguments, Positions<__integer_pack(sizeof...(P))...>()); }
};

template <class Function, Function function>
constexpr Entry entry(const char* name, unsigned max_threads)
{
    using C = Caller<Function, function>;
    return {name, C::invoke, C::sizes, C::count, max_threads};
}

constexpr unsigned first(unsigned threads = 0, unsigned = 0, unsigned = 0) { return threads; }
}

// The bounds follow the name: KERNEL_HOST_ENTRY(f), KERNEL_HOST_ENTRY(f, 256), KERNEL_HOST_ENTRY(f, 256, 2).
#define KERNEL_HOST_ENTRY(function, ...) kernel_host::entry<decltype(&function), &function>(#function, kernel_host::first(__VA_ARGS__))

#define KERNEL_HOST_MODULE(...)                                                                                             \
    kernel_host::State kernel_host_state;                                                                                   \
    extern "C" __attribute__((visibility("default"))) const kernel_host::Module* kernel_host_module()                       \
    {                                                                                                                       \
        static constexpr kernel_host::Entry kernel_host_entries[] = {__VA_ARGS__};                                          \
        static constexpr kernel_host::Module kernel_host_table = {                                                          \
            kernel_host::kAbiVersion, &kernel_host_state, kernel_host_entries, sizeof kernel_host_entries / sizeof(kernel_host::Entry)}; \
        return &kernel_host_table;                                                                                          \
    }
