// global_norm.cu: the length of all gradients together, for clipping.
//
//     norm = sqrt(sum over tensors and elements of g^2) / loss_scale
//
// Two launches: each block sums the squares of one piece in float, then one block adds the pieces' sums in double. Pieces depend on the sizes
// only and every sum has a fixed order, so the norm is the same to the bit whenever the gradients are.
// Cost: each gradient is read once.

#include "common/vector.cuh"
#include "common/reduce.cuh"

// A run of elements of one gradient.
struct Run
{
    const float* start;
    int count;
    int wide; // start and count are multiples of four floats
};

extern "C" __global__ void global_norm_pieces(
    float* __restrict__ sums,     // (blocks)
    const Run* __restrict__ runs) // (blocks)
{
    __shared__ float part[kWarp];
    Run run = runs[blockIdx.x];
    float sum = 0;
    for_columns(threadIdx.x, blockDim.x, run.count, run.wide, [&](auto width, size_t e)
    {
        constexpr int W = decltype(width)::value;
        Floats<W> g = load_vector<W>(run.start + e);
        sum += total(g * g);
    });
    sum = block_sum(sum, part);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// One block: thread i adds the sums i, i + threads, ..., then the threads' sums meet in a tree.
extern "C" __global__ void global_norm_total(
    float* __restrict__ norm,             // (1)
    const float* __restrict__ sums,       // (n)
    const float* __restrict__ loss_scale, // (1) or null: the factor that the gradients carry
    int n)
{
    __shared__ double part[256];
    double sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += sums[i];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2)
    {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) *norm = (float)(loss_scale ? sqrt(part[0]) / *loss_scale : sqrt(part[0]));
}
