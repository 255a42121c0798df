// attention_bias.cu: the gradient of an attention's additive bias, as T5's relative positions are: every sequence has the same bias, so its gradient is
// the sum of the gradients of their scores, which the backward kernels of attention leave in float.
// Cost: B H Tq Tk floats, read once.

#include "common/mixed.cuh"

// dbias += the gradients of the scores, summed over the sequences in their order; one thread an element.
extern "C" __global__ void __launch_bounds__(128) attention_backward_bias(
    void* __restrict__ dbias,           // (H, Tq, Tk) += real or float
    const float* __restrict__ dscores,  // (sequences, H, Tq, Tk)
    int sequences, int count, int wide)
{
    int e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= count) return;
    float sum = 0;
    for (int b = 0; b < sequences; b++) sum += dscores[(size_t)b * count + e];
    store_mixed(dbias, e, wide, load_mixed(dbias, e, wide) + sum);
}
