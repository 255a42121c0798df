// kernel_host.h: CUDA C++ for a host compiler. It is included before the text of a kernel file, so that the same text which NVRTC
// compiles for a GPU becomes a shared object whose entry points the kernel host's driver runs, one fiber a thread.

#pragma once

#include "kernel_host/keywords.h"
#include "kernel_host/vector_types.h"
#include "kernel_host/abi.h"
#include "kernel_host/builtins.h"
#include "kernel_host/bits.h"
#include "kernel_host/half.h"
#include "kernel_host/math.h"
#include "kernel_host/barrier.h"
#include "kernel_host/warp.h"
#include "kernel_host/memory.h"
#include "kernel_host/async_copy.h"
#include "kernel_host/entry.h"
#ifdef KERNEL_HOST_CHECK
#include "kernel_host/access_callbacks.h"
#endif
