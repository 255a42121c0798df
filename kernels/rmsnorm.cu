// rmsnorm.cu: root mean square normalisation over channels, with the residual sum that may precede it.
//
//     s = x + residual                  (residual may be null: s = x)
//     y = s * rstd * gamma              rstd = 1 / sqrt(mean_C(s^2) + eps)
//
// Backward, with n = s * rstd and g = dy * gamma:
//     ds = rstd * (g - n * mean_C(g * n))      dgamma = sum over rows of dy * n
//
// x, residual, s and ds are of type `stream` (-D stream=f32 where the residual stream is wider than the activations), y and dy of `real`.
// Saved for backward: s (N, C) and rstd (N) in float. ds is written or added to, dgamma is accumulated (+=) in a fixed order: no atomics.
// Cost: forward reads x, residual and writes s, y once, which is also its floor; backward reads dy and s (the second time from the cache)
// and writes ds.

#include "common/columns.cuh"
#include "common/reduce.cuh"
#include "common/vector.cuh"

#ifndef stream
#define stream real
#endif

// One row by one team; see layernorm_forward_row for what `cached` means.
template <int W, typename Team>
__device__ __forceinline__ void rmsnorm_forward_row(
    Team team, float* cache, int cached,
    real* y, stream* sum, float* rstd, const stream* x, const stream* residual, const real* gamma, int C, float eps)
{
    int first = team.rank() * W, step = team.size() * W;
    float squares = 0;
    for (int c = first; c < C; c += step)
    {
        Floats<W> v = load_vector<W>(x + c);
        if (residual) v = v + load_vector<W>(residual + c);
        if (sum)
        {
            store_vector<W>(sum + c, v);
            v = load_vector<W>(sum + c); // backward will see the rounded sum, so forward must too
        }
        if (c < cached) store_vector<W>(cache + c, v);
        squares += total(v * v);
    }
    float r = 1 / sqrtf(team.sum(squares) / C + eps);

    const stream* s = sum ? sum : x;
    for (int c = first; c < C; c += step)
    {
        Floats<W> v = c < cached ? load_vector<W>(cache + c) : load_vector<W>(s + c);
        for (int i = 0; i < W; i++) v.at[i] *= r;
        store_vector<W>(y + c, v * load_vector<W>(gamma + c));
    }
    if (team.rank() == 0) *rstd = r;
}

// One warp a row, blockDim.y rows a block. Shared memory: blockDim.y * C floats; the launcher picks blockDim.y so that it fits.
extern "C" __global__ void rmsnorm_forward_warp_per_row(
    real* __restrict__ y,                // (N, C)
    stream* __restrict__ sum,            // (N, C)  s; null where x itself serves backward
    float* __restrict__ rstd,            // (N)
    const stream* __restrict__ x,        // (N, C)
    const stream* __restrict__ residual, // (N, C) or null
    const real* __restrict__ gamma,      // (C)
    int N, int C, int y_stride, int sum_stride, int x_stride, int residual_stride, float eps, int wide)
{
    extern __shared__ float rows[]; // (blockDim.y, C)
    size_t row = (size_t)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= N) return; // whole warps leave together, and no barrier follows
    float* cache = rows + threadIdx.y * C;
    y += row * y_stride, x += row * x_stride;
    if (sum) sum += row * sum_stride;
    if (residual) residual += row * residual_stride;
    if (wide) rmsnorm_forward_row<4>(WarpTeam(), cache, C, y, sum, rstd + row, x, residual, gamma, C, eps);
    else rmsnorm_forward_row<1>(WarpTeam(), cache, C, y, sum, rstd + row, x, residual, gamma, C, eps);
}

// One block a row, for long rows. Shared memory: `cached` floats, a multiple of four.
extern "C" __global__ void rmsnorm_forward_block_per_row(
    real* __restrict__ y,                // (N, C)
    stream* __restrict__ sum,            // (N, C)  s; null where x itself serves backward
    float* __restrict__ rstd,            // (N)
    const stream* __restrict__ x,        // (N, C)
    const stream* __restrict__ residual, // (N, C) or null
    const real* __restrict__ gamma,      // (C)
    int C, int cached, int y_stride, int sum_stride, int x_stride, int residual_stride, float eps, int wide)
{
    extern __shared__ float cache[]; // (cached)
    __shared__ float part[kWarp];
    size_t row = blockIdx.x;
    y += row * y_stride, x += row * x_stride;
    if (sum) sum += row * sum_stride;
    if (residual) residual += row * residual_stride;
    BlockTeam team = {part};
    if (wide) rmsnorm_forward_row<4>(team, cache, cached, y, sum, rstd + row, x, residual, gamma, C, eps);
    else rmsnorm_forward_row<1>(team, cache, cached, y, sum, rstd + row, x, residual, gamma, C, eps);
}

template <int W, typename Team>
__device__ __forceinline__ void rmsnorm_backward_row(
    Team team, stream* ds, const real* dy, const stream* sum, float r, const real* gamma, int C, int accumulate)
{
    int first = team.rank() * W, step = team.size() * W;
    float total_gn = 0;
    for (int c = first; c < C; c += step)
    {
        Floats<W> g = load_vector<W>(dy + c) * load_vector<W>(gamma + c);
        total_gn += total(g * load_vector<W>(sum + c)) * r;
    }
    float mean_gn = team.sum(total_gn) / C;

    for (int c = first; c < C; c += step)
    {
        Floats<W> g = load_vector<W>(dy + c) * load_vector<W>(gamma + c), s = load_vector<W>(sum + c), d;
        for (int i = 0; i < W; i++) d.at[i] = r * (g.at[i] - s.at[i] * r * mean_gn);
        store_vector<W>(ds + c, accumulate ? d + load_vector<W>(ds + c) : d);
    }
}

extern "C" __global__ void rmsnorm_backward_warp_per_row(
    stream* __restrict__ ds,        // (N, C)  = or +=
    const real* __restrict__ dy,    // (N, C)
    const stream* __restrict__ sum, // (N, C)
    const float* __restrict__ rstd, // (N)
    const real* __restrict__ gamma, // (C)
    int N, int C, int ds_stride, int dy_stride, int sum_stride, int accumulate, int wide)
{
    size_t row = (size_t)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= N) return;
    ds += row * ds_stride, dy += row * dy_stride, sum += row * sum_stride;
    if (wide) rmsnorm_backward_row<4>(WarpTeam(), ds, dy, sum, rstd[row], gamma, C, accumulate);
    else rmsnorm_backward_row<1>(WarpTeam(), ds, dy, sum, rstd[row], gamma, C, accumulate);
}

extern "C" __global__ void rmsnorm_backward_block_per_row(
    stream* __restrict__ ds,        // (N, C)  = or +=
    const real* __restrict__ dy,    // (N, C)
    const stream* __restrict__ sum, // (N, C)
    const float* __restrict__ rstd, // (N)
    const real* __restrict__ gamma, // (C)
    int C, int ds_stride, int dy_stride, int sum_stride, int accumulate, int wide)
{
    __shared__ float part[kWarp];
    size_t row = blockIdx.x;
    ds += row * ds_stride, dy += row * dy_stride, sum += row * sum_stride;
    BlockTeam team = {part};
    if (wide) rmsnorm_backward_row<4>(team, ds, dy, sum, rstd[row], gamma, C, accumulate);
    else rmsnorm_backward_row<1>(team, ds, dy, sum, rstd[row], gamma, C, accumulate);
}

// As layernorm_backward_parameters: 32 columns of one range of rows a block; several ranges write partial sums for the second stage.
extern "C" __global__ void rmsnorm_backward_parameters(
    float* __restrict__ dgamma,     // (C)  +=
    float* __restrict__ partial,    // (gridDim.y, C)  =; null when gridDim.y is 1
    const real* __restrict__ dy,    // (N, C)
    const stream* __restrict__ sum, // (N, C)
    const float* __restrict__ rstd, // (N)
    int N, int C, int dy_stride, int sum_stride)
{
    __shared__ float part[kWarp * kWarp];
    int c = blockIdx.x * kWarp + threadIdx.x;
    int rows = (N + gridDim.y - 1) / gridDim.y, first = blockIdx.y * rows, last = min(first + rows, N);
    float sums[1] = {};
    for (int row = first + threadIdx.y; row < last && c < C; row += blockDim.y)
        sums[0] += load(dy + (size_t)row * dy_stride + c) * load(sum + (size_t)row * sum_stride + c) * rstd[row];
    sum_over_warps(sums, part);

    if (threadIdx.y != 0 || c >= C) return;
    if (partial) partial[(size_t)blockIdx.y * C + c] = sums[0];
    else dgamma[c] += sums[0];
}

// Second stage: one thread a column adds the ranges in order.
extern "C" __global__ void rmsnorm_backward_parameters_total(
    float* __restrict__ dgamma,        // (C)  +=
    const float* __restrict__ partial, // (ranges, C)
    int ranges, int C)
{
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    float gamma_sum = 0;
    for (int range = 0; range < ranges; range++) gamma_sum += partial[(size_t)range * C + c];
    dgamma[c] += gamma_sum;
}
