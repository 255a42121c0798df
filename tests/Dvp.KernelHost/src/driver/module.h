// module.h: a loaded image: its shared object in this process, its entry points, its shared memory and its globals.

#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "api.h"
#include "elf_symbols.h"
#include "kernel_host/abi.h"

namespace host
{
struct Module;

struct Function
{
    Module* module;
    const kernel_host::Entry* entry;
    unsigned static_shared = 0;  // bytes
    unsigned dynamic_limit = 0;  // bytes of dynamic shared memory that a launch may ask for
};

struct Module
{
    void* library = nullptr;
    unsigned number = 0; // unlike an address, never used twice
    std::string object; // bytes of the shared object, for names of lines
    uintptr_t base = 0;
    const kernel_host::Module* table = nullptr;
    std::vector<Symbol> shared;  // static shared memory, by address
    std::vector<Symbol> globals; // __device__ variables
    std::vector<Symbol> others;  // the runtime's own
    uintptr_t writable_first = 0, writable_end = 0; // relative to base
    size_t bytes = 0; // of the whole mapping

    // True for a place in writable storage that is neither shared memory nor a gap beside it.
    bool is_other(uintptr_t place) const;
    std::unordered_map<std::string, std::unique_ptr<Function>> functions;

    Module() = default;
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    // file:line of a place in the module's code, with the functions inlined there; empty when unknown.
    std::string place(const void* site) const;
};

// Loads an image; compiles its text where it brings no object, or one made for another mode.
CUresult load_module(const void* image, std::shared_ptr<Module>& module);
}
