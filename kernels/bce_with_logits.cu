// bce_with_logits.cu: binary cross-entropy of many labels against soft targets, loss and gradient in one reading of the logits.
//
//     loss = scale / N * sum over all elements of log(1 + exp(z)) - z y           dz = scale / N * loss_scale * (sigmoid(z) - y)
//
// computed as max(z, 0) - z y + log1p(exp(-|z|)), which neither overflows nor cancels. z, dz (N, C) of type `real`, targets of `target`
// (-D target=f32), row losses and loss in float. The sum over rows is made by one block in a fixed order. loss_scale keeps f16 gradients
// out of the range where they become 0 (see loss_scale.cu); the loss itself is not scaled.
// Cost: logits and targets are read and the gradient is written once, which is the floor.

#include "common/reduce.cuh"
#include "common/vector.cuh"

#ifndef target
#define target real
#endif

template <int W>
__device__ __forceinline__ float bce_with_logits_row(real* dz, const real* z, const target* y, int C, float share)
{
    float loss = 0;
    for (int c = threadIdx.x * W; c < C; c += blockDim.x * W)
    {
        Floats<W> v = load_vector<W>(z + c), t = load_vector<W>(y + c);
        for (int i = 0; i < W; i++)
        {
            float e = expf(-fabsf(v.at[i])), inverse = 1 / (1 + e);
            loss += fmaxf(v.at[i], 0) - v.at[i] * t.at[i] + log1pf(e);
            v.at[i] = share * ((v.at[i] >= 0 ? inverse : e * inverse) - t.at[i]);
        }
        if (dz) store_vector<W>(dz + c, v);
    }
    return loss;
}

// One block a row. dlogits may be logits.
extern "C" __global__ void bce_with_logits_rows(
    float* __restrict__ row_losses,       // (N)
    real* dlogits,                        // (N, C); or null
    const real* logits,                   // (N, C)
    const target* __restrict__ targets,   // (N, C)
    const float* __restrict__ loss_scale, // (1) or null
    int N, int C, int dlogits_stride, int logits_stride, int targets_stride, float scale, int wide)
{
    __shared__ float part[kWarp];
    size_t row = blockIdx.x;
    const real* z = logits + row * logits_stride;
    real* dz = dlogits ? dlogits + row * dlogits_stride : nullptr;
    targets += row * targets_stride;
    float share = loss_scale ? scale / N * *loss_scale : scale / N;
    float loss = wide ? bce_with_logits_row<4>(dz, z, targets, C, share) : bce_with_logits_row<1>(dz, z, targets, C, share);
    loss = block_sum(loss, part);
    if (threadIdx.x == 0) row_losses[row] = loss;
}

// One block.
extern "C" __global__ void bce_with_logits_total(
    float* __restrict__ loss,             // (1)
    const float* __restrict__ row_losses, // (N)
    int N, float scale)
{
    __shared__ float part[kWarp];
    float sum = 0;
    for (int row = threadIdx.x; row < N; row += blockDim.x) sum += row_losses[row];
    sum = block_sum(sum, part);
    if (threadIdx.x == 0) *loss = N == 0 ? 0.0f : sum * scale / N;
}
