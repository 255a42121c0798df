// column_sums.cu: sums[c] += sum over rows of x[n, c]: the gradient of a bias.
//
// Two launches, so that the rows are shared by the whole device and the order of additions is still fixed: the first sums slices of the rows, each
// by one block a column tile, the second adds the slices in their order. With one slice the first adds to the result itself.
// Reads x once: N C elements, which is its floor.

#include "common/words.cuh"

constexpr int kWarps = 8;    // rows that a block reads side by side
constexpr int kColumns = 64; // columns of a block: two a lane

// Grid (C / 64, slices), block (32, 8).
extern "C" __global__ void __launch_bounds__(256) column_sums_slice(
    float* __restrict__ sums,    // (slices, C) =; with one slice (C) +=
    const real* __restrict__ x,  // (N, C)
    int N, int C, int x_stride, int rows_per_slice)
{
    __shared__ float part[kWarps][kColumns];
    int column = blockIdx.x * kColumns + threadIdx.x * 2;
    int first = blockIdx.y * rows_per_slice, end = min(N, first + rows_per_slice);
    float low = 0, high = 0;
    for (int row = first + threadIdx.y; row < end; row += kWarps)
    {
        const real* p = x + (size_t)row * x_stride + column;
        if (column < C) low += load(p);
        if (column + 1 < C) high += load(p + 1);
    }
    part[threadIdx.y][threadIdx.x * 2] = low;
    part[threadIdx.y][threadIdx.x * 2 + 1] = high;
    __syncthreads();

    int c = threadIdx.y * kWarp + threadIdx.x; // the first two warps finish: one column a thread
    int to = blockIdx.x * kColumns + c;
    if (c >= kColumns || to >= C) return;
    float sum = 0;
    for (int warp = 0; warp < kWarps; warp++) sum += part[warp][c];
    if (gridDim.y == 1) sums[to] += sum;
    else sums[(size_t)blockIdx.y * C + to] = sum;
}

// Grid (C / 256), 256 threads.
extern "C" __global__ void __launch_bounds__(256) column_sums_add(
    float* __restrict__ sums,          // (C) +=
    const float* __restrict__ slices,  // (slices, C)
    int C, int count)
{
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    float sum = 0;
    for (int slice = 0; slice < count; slice++) sum += slices[(size_t)slice * C + c];
    sums[c] += sum;
}
