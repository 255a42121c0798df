// prompt_projection.cu: the products of absorbed prompt attention that touch its weights and biases, a batch of small products, one a head.
//
//     absorb      u[m, h, :]      = sum_d a[m, h D + d] W[h D + d, :]           u from q and W_K; dz from dcontext and W_V
//     project     y[m, h D + d]   = sum_c z[m, h, c] W[h D + d, c] + b[h D + d] s[m, h]     context from z, W_V, b_V and s; dq from du and W_K
//     weights     dW[h D + d, c] += sum_m a[m, h D + d] g[m, h, c]              dW_K from q and du; dW_V from dcontext and z
//     value bias  db[h D + d]    += sum_m dcontext[m, h D + d] s[m, h]
//     kept        ds[m, h]        = sum_d dcontext[m, h D + d] b[h D + d]     the gradient of s
//
// m counts the B P queries, s is the sum of the (dropped) probabilities. u, z, du, dz (B P, H, V) are float, q, context and their
// gradients real. Sums run in the order of the index, parameter gradients are added to by one thread an element: no atomics.
// Cost: 2 M H D V FLOPs a product. Few queries make each a reading of its weight, H D V elements, and of u or z, M H V floats: the floor.

#include "common/columns.cuh"
#include "common/reduce.cuh"

constexpr int kDepth = 16; // terms of the sum that are in shared memory at a time

// One block makes a square of S x S results: 256 threads, (S / 16)^2 results each.
//   a(i, k), b(k, j)  operands, asked for inside their ranges only; A_rows, B_rows: whether neighbours in i (j) lie side by side in memory
//   out(i, j, sum)    stores a result
template <int S, bool A_rows, bool B_rows, class A, class B, class Out>
__device__ __forceinline__ void tile_product(int I, int J, int K, A a, B b, Out out)
{
    constexpr int kEach = S / 16;
    __shared__ float left[kDepth][S + 4], right[kDepth][S + 4];
    int first_i = blockIdx.y * S, first_j = blockIdx.x * S;
    int row = threadIdx.x / 16, column = threadIdx.x % 16;
    float sum[kEach][kEach] = {};
    for (int k0 = 0; k0 < K; k0 += kDepth)
    {
        for (int e = threadIdx.x; e < S * kDepth; e += 256)
        {
            int i = A_rows ? e % S : e / kDepth, ka = A_rows ? e / S : e % kDepth;
            left[ka][i] = first_i + i < I && k0 + ka < K ? a(first_i + i, k0 + ka) : 0;
            int j = B_rows ? e % S : e / kDepth, kb = B_rows ? e / S : e % kDepth;
            right[kb][j] = first_j + j < J && k0 + kb < K ? b(k0 + kb, first_j + j) : 0;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < kDepth; k++)
        {
            float x[kEach], y[kEach];
#pragma unroll
            for (int e = 0; e < kEach; e++) x[e] = left[k][row * kEach + e], y[e] = right[k][column + 16 * e];
#pragma unroll
            for (int i = 0; i < kEach; i++)
            {
#pragma unroll
                for (int j = 0; j < kEach; j++) sum[i][j] += x[i] * y[j];
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < kEach; i++)
    {
#pragma unroll
        for (int j = 0; j < kEach; j++)
        {
            int at_i = first_i + row * kEach + i, at_j = first_j + column + 16 * j;
            if (at_i < I && at_j < J) out(at_i, at_j, sum[i][j]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) prompt_projection_absorb(
    float* __restrict__ u,              // (M, H, V)
    const real* __restrict__ a,         // (M, H D)
    const real* __restrict__ weight,    // (H D, V)
    int M, int H, int D, int V, int a_stride)
{
    int h = blockIdx.z;
    tile_product<64, false, true>(
        M, V, D, [=](int m, int d) { return load(a + (size_t)m * a_stride + h * D + d); },
        [=](int d, int c) { return load(weight + ((size_t)h * D + d) * V + c); },
        [=](int m, int c, float sum) { u[((size_t)m * H + h) * V + c] = sum; });
}

extern "C" __global__ void __launch_bounds__(256) prompt_projection_project(
    real* __restrict__ y,               // (M, H D)
    const float* __restrict__ z,        // (M, H, V)
    const real* __restrict__ weight,    // (H D, V)
    const real* __restrict__ bias,      // (H D) or null
    const float* __restrict__ factor,   // (M, H) on the bias; null without bias
    int M, int H, int D, int V, int y_stride)
{
    int h = blockIdx.z;
    tile_product<32, false, false>( // small squares: a head has few outputs and the grid must fill the device
        M, D, V, [=](int m, int c) { return z[((size_t)m * H + h) * V + c]; },
        [=](int c, int d) { return load(weight + ((size_t)h * D + d) * V + c); },
        [=](int m, int d, float sum) {
            if (bias) sum += load(bias + h * D + d) * factor[(size_t)m * H + h];
            store(y + (size_t)m * y_stride + h * D + d, sum);
        });
}

extern "C" __global__ void __launch_bounds__(256) prompt_projection_weights(
    float* __restrict__ dweight,        // (H D, V) +=
    const real* __restrict__ a,         // (M, H D)
    const float* __restrict__ g,        // (M, H, V)
    int M, int H, int D, int V, int a_stride)
{
    int h = blockIdx.z;
    tile_product<64, true, true>(
        D, V, M, [=](int d, int m) { return load(a + (size_t)m * a_stride + h * D + d); },
        [=](int m, int c) { return g[((size_t)m * H + h) * V + c]; },
        [=](int d, int c, float sum) { dweight[((size_t)h * D + d) * V + c] += sum; });
}

// One block owns 32 outputs, its eight warps share the queries (columns.cuh).
extern "C" __global__ void __launch_bounds__(256) prompt_projection_value_bias(
    float* __restrict__ dbias,          // (H D) +=
    const real* __restrict__ dcontext,  // (M, H D)
    const float* __restrict__ factor,   // (M, H)
    int M, int H, int D, int dcontext_stride)
{
    __shared__ float part[8 * kWarp];
    int e = blockIdx.x * kWarp + threadIdx.x;
    float sums[1] = {};
    for (int m = threadIdx.y; m < M && e < H * D; m += 8) sums[0] += load(dcontext + (size_t)m * dcontext_stride + e) * factor[(size_t)m * H + e / D];
    sum_over_warps(sums, part);
    if (threadIdx.y == 0 && e < H * D) dbias[e] += sums[0];
}

// One warp a head of a query, eight a block.
extern "C" __global__ void __launch_bounds__(256) prompt_projection_kept(
    float* __restrict__ ds,             // (M, H)
    const real* __restrict__ dcontext,  // (M, H D)
    const real* __restrict__ bias,      // (H D)
    int M, int H, int D, int dcontext_stride)
{
    int row = blockIdx.x * 8 + threadIdx.y, m = row / H, h = row % H;
    if (row >= M * H) return; // whole warps leave together
    float sum = 0;
    for (int d = threadIdx.x; d < D; d += kWarp) sum += load(dcontext + (size_t)m * dcontext_stride + h * D + d) * load(bias + h * D + d);
    sum = warp_sum(sum);
    if (threadIdx.x == 0) ds[row] = sum;
}
