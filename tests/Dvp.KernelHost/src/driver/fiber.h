// fiber.h: switching stacks. A fiber is a saved stack pointer; a switch costs a few nanoseconds.

#pragma once

#include <cstddef>

// Saves the registers that a call keeps on the running stack, notes its position in *from, and goes on where `to` was saved.
extern "C" void host_switch(void** from, void* to);

// The second half of host_switch: where a signal handler can send a fiber that cannot go on, with the stack pointer set to a saved one.
extern "C" void host_resume();

namespace host
{
// Prepares a stack whose first switch calls run(), which must never return.
void* new_fiber(void* stack, size_t bytes, void (*run)());
}
