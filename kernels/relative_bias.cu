// relative_bias.cu: T5's bucketed relative positions (Raffel et al. 2020) as an additive bias of the attention scores.
//
//     bias[h, i, j] = weight[bucket(j - i), h]            bias (H, Tq, Tk), weight (buckets, H)
//     dweight[c, h] += sum over i, j with bucket(j - i) = c of dbias[h, i, j]
//
// Near distances have a bucket each, far ones share buckets that grow with the logarithm. The launcher gives that as whole numbers:
// first[c] is the least distance that lies in bucket c or beyond (half of the buckets when both directions have their own), so no
// logarithm is rounded here and every device draws the same borders. bias is real or float, dweight is float, summed in a fixed order.
// Cost: H Tq Tk elements written forward and read backward, once: the floor. Backward keeps few blocks busy, one a head, once a step.

#include "common/mixed.cuh"

constexpr int kDiagonals = 2048; // distances whose sums are held at a time

// both: keys after the query have the upper half of the buckets; otherwise they share bucket 0.
__device__ __forceinline__ int bucket_of(int distance, const int* first, int buckets, int both)
{
    int half = both ? buckets / 2 : buckets;
    int far = both ? (distance < 0 ? -distance : distance) : (distance < 0 ? -distance : 0);
    int c = 0;
    for (int next = 1; next < half && first[next] <= far; next++) c = next; // borders ascend
    return both && distance > 0 ? half + c : c;
}

// One block a query: its buckets once, then all heads.
extern "C" __global__ void __launch_bounds__(128) relative_bias_forward(
    void* __restrict__ bias,            // (H, Tq, Tk) real or float
    const real* __restrict__ weight,    // (buckets, H)
    const int* __restrict__ first,      // (buckets)
    int H, int Tq, int Tk, int buckets, int both, int wide)
{
    int i = blockIdx.x;
    for (int j = threadIdx.x; j < Tk; j += blockDim.x)
    {
        int c = bucket_of(j - i, first, buckets, both);
        for (int h = 0; h < H; h++) store_mixed(bias, ((size_t)h * Tq + i) * Tk + j, wide, load(weight + c * H + h));
    }
}

// One block a head. All pairs of one distance lie on a diagonal: a thread sums a diagonal, neighbours read neighbouring keys; then a
// thread a bucket sums its diagonals, nearest to the first key first.
extern "C" __global__ void __launch_bounds__(256) relative_bias_backward(
    float* __restrict__ dweight,        // (buckets, H) +=
    const void* __restrict__ dbias,     // (H, Tq, Tk) real or float
    const int* __restrict__ first,      // (buckets)
    int H, int Tq, int Tk, int buckets, int both, int wide)
{
    __shared__ float sums[kDiagonals];
    __shared__ int places[kDiagonals];
    int h = blockIdx.x, all = Tq + Tk - 1;
    for (int start = 0; start < all; start += kDiagonals)
    {
        int count = all - start < kDiagonals ? all - start : kDiagonals;
        for (int e = threadIdx.x; e < count; e += blockDim.x)
        {
            int distance = start + e - (Tq - 1); // j - i
            float sum = 0;
            int last = Tk - distance < Tq ? Tk - distance : Tq;
            for (int i = distance < 0 ? -distance : 0; i < last; i++) sum += load_mixed(dbias, ((size_t)h * Tq + i) * Tk + i + distance, wide);
            sums[e] = sum;
            places[e] = bucket_of(distance, first, buckets, both);
        }
        __syncthreads();
        for (int c = threadIdx.x; c < buckets; c += blockDim.x)
        {
            float sum = 0;
            for (int e = 0; e < count; e++) sum += places[e] == c ? sums[e] : 0;
            dweight[c * H + h] += sum;
        }
        __syncthreads();
    }
}
