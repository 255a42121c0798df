// softmax_cross_entropy.cu: cross-entropy against class labels, loss and gradient in one kernel.
//
//     row loss = log sum_j exp(z_j) - (1 - e) z_label - e mean(z)         e: label smoothing
//     loss     = scale * mean of the row losses over rows whose label is not `ignore` (0 where all are ignored)
//     dz_j     = scale / counted * loss_scale * (softmax(z)_j - e / classes - (1 - e) [j = label]),  0 in ignored rows
//
// z (N, classes) and dz of type `real`, row losses and loss in float. A label outside the classes gives a loss of NaN and a zero gradient.
// The sum over rows is made by one block in a fixed order. loss_scale keeps f16 gradients out of the range where they become 0 (see
// loss_scale.cu); the loss itself is not scaled.
// Cost: logits are read and the gradient is written once, which is the floor: a row's readings after the first (largest, sum, gradient) are
// of what its block has just read, and come from the cache.

#include "common/reduce.cuh"
#include "common/vector.cuh"

// Rows whose label counts: every block counts them itself, which costs less than a launch that does so before.
__device__ __forceinline__ float counted_rows(const int* labels, int N, int ignore, float* part)
{
    int mine = 0;
    for (int row = threadIdx.x; row < N; row += blockDim.x) mine += labels[row] != ignore;
    return block_sum((float)mine, part); // exact up to 2^24 rows
}

template <int W>
__device__ __forceinline__ float softmax_cross_entropy_row(
    real* dz, const real* z, const int* labels, int label, int N, int classes, int ignore, float smoothing, float scale, float* part)
{
    int first = threadIdx.x * W, step = blockDim.x * W;
    float z_label = load(z + label);
    float largest = z_label, sum_of_logits = 0;
    for (int c = first; c < classes; c += step)
    {
        Floats<W> v = load_vector<W>(z + c);
        for (int i = 0; i < W; i++) largest = fmaxf(largest, v.at[i]);
        sum_of_logits += total(v);
    }
    largest = block_max(largest, part);
    float mean = block_sum(sum_of_logits, part) / classes;

    float sum = 0;
    for (int c = first; c < classes; c += step)
    {
        Floats<W> v = load_vector<W>(z + c);
        for (int i = 0; i < W; i++) sum += expf(v.at[i] - largest);
    }
    sum = block_sum(sum, part);

    if (dz)
    {
        float share = scale / counted_rows(labels, N, ignore, part), factor = share / sum, uniform = share * smoothing / classes;
        for (int c = first; c < classes; c += step)
        {
            Floats<W> v = load_vector<W>(z + c);
            for (int i = 0; i < W; i++)
            {
                v.at[i] = expf(v.at[i] - largest) * factor - uniform;
                if (c + i == label) v.at[i] -= share * (1 - smoothing);
            }
            store_vector<W>(dz + c, v);
        }
    }

    // Differences from the largest: the offset that all logits share cancels before anything is added.
    float loss = logf(sum) + (1 - smoothing) * (largest - z_label);
    return smoothing == 0 ? loss : loss + smoothing * (largest - mean);
}

// One block a row. dlogits may be logits: a thread writes only the columns that it reads, after everybody's sums are complete.
extern "C" __global__ void softmax_cross_entropy_rows(
    float* __restrict__ row_losses,       // (N)
    real* dlogits,                        // (N, classes); or null
    const real* logits,                   // (N, classes)
    const int* __restrict__ labels,       // (N)
    const float* __restrict__ loss_scale, // (1) or null
    int N, int classes, int dlogits_stride, int logits_stride, int ignore, float smoothing, float scale, int wide)
{
    __shared__ float part[kWarp];
    size_t row = blockIdx.x;
    int label = labels[row];
    const real* z = logits + row * logits_stride;
    real* dz = dlogits ? dlogits + row * dlogits_stride : nullptr;
    if (loss_scale) scale *= *loss_scale; // of the gradient: the row losses take no scale
    float loss = 0;
    if (label == ignore || label < 0 || label >= classes) // the whole block
    {
        if (label != ignore) loss = __uint_as_float(0x7fc00000u);
        for (int c = threadIdx.x; dz && c < classes; c += blockDim.x) store(dz + c, 0);
    }
    else if (wide) loss = softmax_cross_entropy_row<4>(dz, z, labels, label, N, classes, ignore, smoothing, scale, part);
    else loss = softmax_cross_entropy_row<1>(dz, z, labels, label, N, classes, ignore, smoothing, scale, part);
    if (threadIdx.x == 0) row_losses[row] = loss;
}

// One block.
extern "C" __global__ void softmax_cross_entropy_total(
    float* __restrict__ loss,             // (1)
    const float* __restrict__ row_losses, // (N)
    const int* __restrict__ labels,       // (N)
    int N, int ignore, float scale)
{
    __shared__ float part[kWarp];
    float sum = 0;
    for (int row = threadIdx.x; row < N; row += blockDim.x) sum += row_losses[row];
    sum = block_sum(sum, part);
    float counted = counted_rows(labels, N, ignore, part);
    if (threadIdx.x == 0) *loss = counted == 0 ? 0.0f : sum * scale / counted;
}
