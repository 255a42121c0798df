// checker.h: the judge of accesses in the mode check. Each load and store of a kernel comes here before it happens.

#pragma once

#include <cstddef>

#include "kernel_host/abi.h"
#include "module.h"

namespace host
{
struct Launch;

namespace Checker
{
void begin_launch(const Launch& launch, const unsigned char* dynamic_shared);
void begin_block();
void barrier();
void access(const void* address, size_t bytes, kernel_host::Access access, const void* site);
void misaligned(const void* address, size_t bytes, const void* site);
}
}
