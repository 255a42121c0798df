// elf_symbols.h: the variables of a shared object.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace host
{
struct Symbol
{
    uintptr_t address; // relative to the base at which the object is loaded
    size_t bytes;
    std::string name;
};

// Where an object lies once it is loaded, relative to its base.
struct Extent
{
    size_t bytes;
    uintptr_t writable_first, writable_end;
};

Extent extent_of(const std::string& object);

// All writable variables, by address.
std::vector<Symbol> writable_symbols(const std::string& object);
}
