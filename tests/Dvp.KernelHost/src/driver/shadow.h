// shadow.h: what the mode check knows of device memory; see shadow.cpp.

#pragma once

#include <cstddef>
#include <cstdint>

namespace host
{
namespace Shadow
{
void allocated(uint64_t address, size_t bytes);
void released(uint64_t address, size_t bytes);
void written(uint64_t address, size_t bytes);
void copied(uint64_t target, uint64_t source, size_t bytes);
}
}
