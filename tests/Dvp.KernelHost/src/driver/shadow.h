// shadow.h: what the mode check knows of device memory. Outside of that mode these do nothing.

#pragma once

#include <cstddef>
#include <cstdint>

#include "shadow_pages.h"

namespace host
{
namespace Shadow
{
ShadowPages& device();
void allocated(uint64_t address, size_t bytes);
void released(uint64_t address, size_t bytes);
void written(uint64_t address, size_t bytes);
void copied(uint64_t target, uint64_t source, size_t bytes);

// Bytes that kernels have read from and written to a range, in whole lines of 64 bytes.
void traffic(uint64_t address, size_t bytes, uint64_t& read, uint64_t& written);
void reset_traffic();
}
}
