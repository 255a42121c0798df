// mixed.cuh: tensors that are `real` or float as the launch has it (`wide` says float): biases, masks and gradients that a model may keep
// in either. One comparison of a uniform value, in place of one more compilation of the whole file.

#pragma once
#include "common/prelude.cuh"

__device__ __forceinline__ float load_mixed(const void* p, size_t i, int wide)
{
    return wide ? static_cast<const float*>(p)[i] : load(static_cast<const real*>(p) + i);
}
__device__ __forceinline__ void store_mixed(void* p, size_t i, int wide, float v)
{
    if (wide) static_cast<float*>(p)[i] = v;
    else store(static_cast<real*>(p) + i, v);
}
