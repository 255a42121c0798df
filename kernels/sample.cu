// sample.cu: the largest entries of every row of logits.
//
//     values[n, 0] >= values[n, 1] >= ... : the k largest of row n; equal values in the order of their columns; indices are the columns
//
// k = 1 is argmax. Entry j is the largest of what comes after entry j - 1 in that order, so a row is read k times and nothing is kept but the
// last entry; for the few answers that are shown this is below the cost of one launch. NaN never wins; where fewer than k entries are
// left, index is -1 and value -infinity.

#include "common/prelude.cuh"

struct Entry
{
    float value;
    int column; // -1: none
};

__device__ __forceinline__ bool before(Entry a, Entry b)
{
    if (a.column < 0 || b.column < 0) return a.column >= 0;
    return a.value > b.value || (a.value == b.value && a.column < b.column);
}

// One block a row.
extern "C" __global__ void top_k(
    float* __restrict__ values,      // (N, k)
    int* __restrict__ indices,       // (N, k)
    const real* __restrict__ logits, // (N, C)
    long stride, int C, int k)
{
    __shared__ float part_value[kWarp];
    __shared__ int part_column[kWarp];
    const real* row = logits + blockIdx.x * (size_t)stride;
    int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
    Entry last = {0, -1};
    for (int j = 0; j < k; j++)
    {
        Entry best = {0, -1};
        for (int c = threadIdx.x; c < C; c += blockDim.x)
        {
            Entry entry = {load(row + c), c};
            bool follows = j == 0 ? entry.value == entry.value : last.column >= 0 && before(last, entry) && entry.value == entry.value;
            if (follows && before(entry, best)) best = entry;
        }
        for (int offset = kWarp / 2; offset > 0; offset /= 2)
        {
            Entry other = {__shfl_xor_sync(0xffffffffu, best.value, offset), __shfl_xor_sync(0xffffffffu, best.column, offset)};
            if (before(other, best)) best = other;
        }
        if (lane == 0) part_value[warp] = best.value, part_column[warp] = best.column;
        __syncthreads();
        for (int w = 0; w < warps; w++) // every thread the same, so all go on from the same entry
        {
            Entry other = {part_value[w], part_column[w]};
            if (before(other, best)) best = other;
        }
        __syncthreads();
        last = best;
        if (threadIdx.x == 0)
        {
            values[blockIdx.x * (size_t)k + j] = best.column < 0 ? __uint_as_float(0xff800000u) : best.value;
            indices[blockIdx.x * (size_t)k + j] = best.column;
        }
    }
}
