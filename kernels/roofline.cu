// roofline.cu: how fast the device multiplies and adds when nothing else holds it up, the roof that products are judged against.
//
//     d += x * y on registers, in 32 independent sums a thread: mma.sync for 16-bit storage, fused multiply-adds for f32
//
// Sum i starts at i, so that no two are the same. With x = y = 1/16 a round adds 1/16 (16-bit: 16 products of 1/256) or 1/64 (f32: 4
// products) to every sum, exactly: a thread's result is 496 + 2 rounds or 496 + rounds / 2, and the work is really done. One round of a
// warp: 8 mma of 4,096 operations, or 32 * 32 * 4 multiply-adds of 2.

#include "common/prelude.cuh"

constexpr int kSums = 8; // fragments of 4 floats: enough to hide the latency of the unit that adds to them

__device__ __forceinline__ unsigned pair(float v, const bf16*) { return bf16x2_from_floats(v, v); }
__device__ __forceinline__ unsigned pair(float v, const f16*) { return f16x2_from_floats(v, v); }

template <class Half> struct Round
{
    unsigned a[4], b;
    __device__ Round(float x, float y) : a{pair(x, (Half*)0), pair(x, (Half*)0), pair(x, (Half*)0), pair(x, (Half*)0)}, b(pair(y, (Half*)0)) {}
    __device__ void add(float (&d)[4], const bf16*) { mma_bf16_16x8x16(d, a, b, b); }
    __device__ void add(float (&d)[4], const f16*) { mma_f16_16x8x16(d, a, b, b); }
    __device__ void operator()(float (&d)[kSums][4])
    {
#pragma unroll
        for (int i = 0; i < kSums; i++) add(d[i], (Half*)0);
    }
};
template <> struct Round<f32>
{
    float x, y;
    __device__ Round(float x, float y) : x(x), y(y) {}
    __device__ void operator()(float (&d)[kSums][4])
    {
#pragma unroll
        for (int repeat = 0; repeat < 4; repeat++)
        {
#pragma unroll
            for (int i = 0; i < kSums * 4; i++) d[i / 4][i % 4] = fmaf(x, y, d[i / 4][i % 4]);
        }
    }
};

extern "C" __global__ void __launch_bounds__(256) roofline_multiply(
    float* __restrict__ sums, // (gridDim.x, blockDim.x)
    float x, float y, int rounds)
{
    Round<real> round(x, y);
    float d[kSums][4];
#pragma unroll
    for (int i = 0; i < kSums * 4; i++) d[i / 4][i % 4] = i;
    for (int r = 0; r < rounds; r++) round(d);

    float total = 0;
#pragma unroll
    for (int i = 0; i < kSums * 4; i++) total += d[i / 4][i % 4];
    sums[blockIdx.x * blockDim.x + threadIdx.x] = total;
}
