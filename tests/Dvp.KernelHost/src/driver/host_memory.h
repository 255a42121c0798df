// host_memory.h: pinned memory of the host, which asynchronous copies may read after the call has returned.

#pragma once

#include <cstddef>

namespace host
{
namespace HostMemory
{
void* allocate(size_t bytes);
bool release(void* memory);
bool holds(const void* address, size_t bytes);
size_t live();
}
}
