// typed.cuh: tensors whose storage type a launch says: `type` is 0 for f32, 1 for bf16, 2 for f16, the numbers of ElementType on the host. For
// kernels that touch such a tensor in a place or two, so that one compilation serves all types.

#pragma once
#include "common/prelude.cuh"

// body(p) with the pointer in its type: loops stand inside, so that the question is asked once.
template <typename Body> __device__ __forceinline__ void with_type(const void* p, int type, Body body)
{
    if (type == 0) body(static_cast<const f32*>(p));
    else if (type == 1) body(static_cast<const bf16*>(p));
    else body(static_cast<const f16*>(p));
}

__device__ __forceinline__ float load_typed(const void* p, size_t i, int type)
{
    float v;
    with_type(p, type, [&](auto* typed) { v = load(typed + i); });
    return v;
}
__device__ __forceinline__ void store_typed(void* p, size_t i, int type, float v)
{
    if (type == 0) store(static_cast<f32*>(p) + i, v);
    else if (type == 1) store(static_cast<bf16*>(p) + i, v);
    else store(static_cast<f16*>(p) + i, v);
}
