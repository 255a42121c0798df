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

// All writable variables, by address.
std::vector<Symbol> writable_symbols(const std::string& object);
}
