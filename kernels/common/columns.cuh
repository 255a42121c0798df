// columns.cuh: sums down the columns of a matrix: gradients of gains, shifts, biases and token types. A block is (32, warps): lanes own
// neighbouring columns, so reads are coalesced, and the warps share the rows.

#pragma once
#include "common/prelude.cuh"

// Adds n sums a lane over the warps of the block, in their order; the first warp has the totals, the others keep their own.
// part: n * blockDim.y * kWarp floats of shared memory.
template <int n>
__device__ __forceinline__ void sum_over_warps(float (&sums)[n], float* part)
{
    float* mine = part + threadIdx.y * kWarp + threadIdx.x;
    int step = blockDim.y * kWarp; // from one sum to the next
#pragma unroll
    for (int i = 0; i < n; i++) mine[i * step] = sums[i];
    __syncthreads();
    if (threadIdx.y != 0) return;
    for (int warp = 1; warp < blockDim.y; warp++)
    {
#pragma unroll
        for (int i = 0; i < n; i++) sums[i] += mine[i * step + warp * kWarp];
    }
}
