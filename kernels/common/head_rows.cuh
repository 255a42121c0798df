// head_rows.cuh: rows of one attention head on their way between global memory and the tensor cores' registers: for 16-bit storage.
//
// -D head_size: 64 or 128, the least that holds a head's D channels. In shared memory a row has head_size elements, zeros beyond D.

#pragma once
#include "common/mma_tile.cuh"

#ifndef head_size
#define head_size 64
#endif

constexpr int kHeadChunks = head_size / 8; // chunks of 16 bytes in a row of shared memory

// Begins to bring `count` rows of a head into shared memory with the whole block, zeros from row `rows` on; through registers where rows begin anywhere.
__device__ __forceinline__ void fetch_rows(word_4* to, int count, const real* from, int stride, int rows, int D, int aligned)
{
    int row = threadIdx.x / kHeadChunks, chunk = threadIdx.x % kHeadChunks, step = blockDim.x / kHeadChunks;
    int elements = min(8, max(0, D - chunk * 8));
    const real* p = from + (size_t)row * stride + chunk * 8;
    if (aligned)
    {
#pragma unroll 4
        for (; row < count; row += step, p += (size_t)step * stride)
        {
            cp_async_16(to + swizzled<kHeadChunks>(row, chunk), p, row < rows ? elements * 2 : 0);
        }
        return;
    }
#pragma unroll 1
    for (; row < count; row += step, p += (size_t)step * stride) to[swizzled<kHeadChunks>(row, chunk)] = gather(p, row < rows ? elements : 0);
}

// Rows `row` and row + 8 of a head from a warp's sums, as mma leaves them: a lane has two columns of every eight. factors: on the two rows.
__device__ __forceinline__ void leave_head(
    real* first, int stride, int row, int rows, int D, int aligned, const float (&sums)[head_size / 8][4], const float (&factors)[2])
{
    int column = threadIdx.x % kWarp % 4 * 2;
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        if (row + 8 * r >= rows) continue;
        real* to = first + (size_t)(row + 8 * r) * stride + column;
#pragma unroll
        for (int n = 0; n < head_size / 8; n++)
        {
            float a = sums[n][2 * r] * factors[r], b = sums[n][2 * r + 1] * factors[r];
            if (aligned && n * 8 < D) *(unsigned*)(to + n * 8) = pack(a, b, first); // D is a multiple of eight then
            else
            {
                if (n * 8 + column < D) store(to + n * 8, a);
                if (n * 8 + column + 1 < D) store(to + n * 8 + 1, b);
            }
        }
    }
}
