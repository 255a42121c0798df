// context.h: the one context, the lock, and how an entry point of the driver begins.

#pragma once

#include <exception>
#include <mutex>

#include "api.h"
#include "mode.h"

namespace host
{
struct Context
{
    unsigned references = 0;
    CUresult error = CUDA_SUCCESS; // the first error of asynchronous work; it stays until the context goes
};

extern bool s_initialised;
Context& primary_context();
Context*& current_context(); // of the calling thread
std::recursive_mutex& driver_lock();

// Notes an error of asynchronous work.
void latch(CUresult error);

// Runs an entry point under the lock, in a healthy context.
template <class Body>
CUresult in_context(Body body)
{
    std::lock_guard lock(driver_lock());
    if (!s_initialised) return CUDA_ERROR_NOT_INITIALIZED;
    Context* context = current_context();
    if (context == nullptr || context->references == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (context->error != CUDA_SUCCESS) return context->error;
    try
    {
        return body();
    }
    catch (const std::exception& error)
    {
        log_line(error.what());
        return CUDA_ERROR_UNKNOWN;
    }
}
}
