// checker.h: the judge of accesses, see checker.cpp.

#pragma once

#include <cstddef>

#include "kernel_host/abi.h"
#include "module.h"

namespace host
{
struct Launch;

namespace Checker
{
void begin_launch(const Launch& launch);
void begin_block(const Function& function, const kernel_host::Block& block);
void barrier();
void access(const void* address, size_t bytes, kernel_host::Access access, const void* site);
}
}
