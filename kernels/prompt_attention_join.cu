// prompt_attention_join.cu: what follows prompt_attention.cu and prompt_attention_mma.cu where the tokens of a sequence are split over blocks.
//
// Each split s has a running maximum m_s of its own; with m = max_s m_s its sums count exp(m_s - m) times. Splits are added in their order.
// Cost: the splits' z or du, read once.

#include "common/prompt.cuh"

// Joins the splits of a row: the common maximum, the sum under it, then p, z and the sum of what is kept. One block a row.
extern "C" __global__ void __launch_bounds__(256) prompt_attention_forward_join(
    float* __restrict__ p,              // (B, H, P, N) scores in, probabilities out
    float* __restrict__ z,              // (B, P H, V)
    float* __restrict__ sum,            // (B, P H)
    const float* __restrict__ parts,    // (splits, B, P H, 3)
    const float* __restrict__ part_z,   // (splits, B, P H, V)
    int B, int P, int H, int N, int V, int splits)
{
    int all = P * H, row = blockIdx.x;
    size_t step = (size_t)B * all; // rows from one split to the next
    float top = -__uint_as_float(0x7f800000u), total = 0, kept = 0;
    for (int s = 0; s < splits; s++) top = fmaxf(top, parts[(s * step + row) * 3]);
    for (int s = 0; s < splits; s++)
    {
        const float* part = parts + (s * step + row) * 3;
        float factor = expf(part[0] - top);
        total += part[1] * factor, kept += part[2] * factor;
    }
    for (int c = threadIdx.x; c < V; c += 256)
    {
        float v = 0;
        for (int s = 0; s < splits; s++) v += part_z[(s * step + row) * V + c] * expf(parts[(s * step + row) * 3] - top);
        z[(size_t)row * V + c] = v / total;
    }
    float* line = p + place_of(row / all, row % all, P, H) * N;
    for (int n = threadIdx.x; n < N; n += 256) line[n] = expf(line[n] - top) / total;
    if (threadIdx.x == 0) sum[row] = kept / total;
}

// du = sum of the splits in their order.
extern "C" __global__ void __launch_bounds__(256) prompt_attention_backward_join(
    float* __restrict__ du,             // (count)
    const float* __restrict__ part_du,  // (splits, count)
    long count, int splits)
{
    long e = (long)blockIdx.x * 256 + threadIdx.x;
    if (e >= count) return;
    float v = 0;
    for (int s = 0; s < splits; s++) v += part_du[s * count + e];
    du[e] = v;
}
