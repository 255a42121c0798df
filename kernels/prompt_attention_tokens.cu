// prompt_attention_tokens.cu: the gradient of the visual tokens, for features that train: with w and ds as prompt_attention.cu has them,
//
//     dx_n = sum_r w_rn dz_r + ds_rn u_r
//
// a second pass, which reads what the first one left of the scores. Every element of dx is written once, in a type of its own (typed.cuh).
// Cost for B sequences: 4 B P H N V FLOPs; u and dz of a sequence are read once for every 8 tokens, from the second-level cache.

#include "common/philox.cuh"
#include "common/prompt.cuh"
#include "common/typed.cuh"

constexpr int kThreads = 256;
constexpr int kRows = 16; // rows whose weights are in shared memory at a time

// dx, 8 tokens a block; a thread owns channels, u and dz of a sequence come from the second-level cache.
extern "C" __global__ void __launch_bounds__(kThreads) prompt_attention_backward_tokens(
    void* __restrict__ dx,              // (B, N, V) of dx_type
    const float* __restrict__ dscores,  // (B, H, P, N)
    const float* __restrict__ dz,       // (B, P H, V)
    const float* __restrict__ u,        // (B, P H, V)
    const float* __restrict__ p,        // (B, H, P, N)
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, P, N) factors of keep_type or null
    int P, int H, int N, int V, int dx_stride, int dx_type, int keep_type, int site, float rate)
{
    constexpr int kCount = 8;
    __shared__ float weights[kCount][kRows], gradients[kCount][kRows];
    int b = blockIdx.y, t0 = blockIdx.x * kCount, all = P * H;
    for (int channel0 = 0; channel0 < V; channel0 += kThreads)
    {
        int c = channel0 + threadIdx.x;
        float sums[kCount] = {};
        for (int row0 = 0; row0 < all; row0 += kRows)
        {
            __syncthreads();
            if (threadIdx.x < kCount * kRows)
            {
                int t = threadIdx.x / kRows, r = threadIdx.x % kRows;
                float w = 0, ds = 0;
                if (t0 + t < N && row0 + r < all)
                {
                    size_t place = place_of(b, row0 + r, P, H) * N + t0 + t;
                    w = p[place], ds = dscores[place];
                    if (keep_mask) w *= load_typed(keep_mask, place, keep_type);
                    if (dropout) w *= keep_factor(dropout, site, place, rate);
                }
                weights[t][r] = w, gradients[t][r] = ds;
            }
            __syncthreads();
            for (int r = 0; c < V && r < kRows && row0 + r < all; r++)
            {
                size_t at = ((size_t)b * all + row0 + r) * V + c;
                float x = dz[at], y = u[at];
#pragma unroll
                for (int t = 0; t < kCount; t++) sums[t] += weights[t][r] * x + gradients[t][r] * y;
            }
        }
#pragma unroll
        for (int t = 0; t < kCount; t++)
        {
            if (c < V && t0 + t < N) store_typed(dx, ((size_t)b * N + t0 + t) * dx_stride + c, dx_type, sums[t]);
        }
    }
}
