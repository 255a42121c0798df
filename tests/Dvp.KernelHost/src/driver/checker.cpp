// checker.cpp

#include "checker.h"

namespace host
{
void Checker::begin_launch(const Launch&) {}
void Checker::begin_block(const Function&, const kernel_host::Block&) {}
void Checker::barrier() {}
void Checker::access(const void*, size_t, kernel_host::Access, const void*) {}
}
