// matvec.cu: products with 1..8 rows: one picture and one question, the row that the head reads. So few rows give no tile anything to reuse:
// the cost is reading the weight once, outputs * inputs elements, and the kernels only see to it that nothing else is waited for.
//
//     forward:        y (rows, outputs) = activation(x W^T + bias) + residual      pre = x W^T + bias, kept for backward
//     backward input: dx (rows, inputs) = dy W + residual
//
// x (rows, inputs), dy (rows, outputs), W (outputs, inputs). Sums are float and in a fixed order.

#include "common/epilogue.cuh"
#include "common/reduce.cuh"

constexpr int kMostRows = 8;
constexpr int kWarps = 4;

// One warp an output: lanes read the weight's row side by side, eight elements (16 or 32 bytes) at a time where addresses allow it; x comes from
// the cache, where every warp finds it.
template <int kRows>
__device__ __forceinline__ void dot(float (&sum)[kMostRows], const real* x, const real* weight, int rows, int inputs, int x_stride, bool vectors)
{
    int lane = threadIdx.x, done = 0;
    if (vectors)
    {
        done = inputs / 8 * 8;
        for (int k = lane * 8; k < done; k += kWarp * 8)
        {
            float_8 w = load_8(weight + k);
#pragma unroll
            for (int row = 0; row < kRows; row++)
            {
                if (row >= rows) break;
                float_8 v = load_8(x + (size_t)row * x_stride + k);
#pragma unroll
                for (int i = 0; i < 8; i++) sum[row] = fmaf(v.v[i], w.v[i], sum[row]);
            }
        }
    }
    for (int k = done + lane; k < inputs; k += kWarp)
    {
        float w = load(weight + k);
#pragma unroll
        for (int row = 0; row < kRows; row++)
        {
            if (row < rows) sum[row] = fmaf(load(x + (size_t)row * x_stride + k), w, sum[row]);
        }
    }
}

// Grid (outputs / 4), block (32, 4).
extern "C" __global__ void __launch_bounds__(128) matvec_forward(
    void* y,                          // (rows, outputs) real, or float where wide
    real* pre,                        // (rows, outputs) or null
    const real* __restrict__ x,       // (rows, inputs)
    const real* __restrict__ weight,  // (outputs, inputs)
    const real* __restrict__ bias,    // (outputs) or null
    const void* residual,             // (rows, outputs) of y's type or null; may be y
    int rows, int outputs, int inputs,
    int y_stride, int pre_stride, int x_stride, int weight_stride, int residual_stride,
    int activation,
    int vectors, // 1: bases and strides of x and weight are multiples of eight elements
    int wide)
{
    int column = blockIdx.x * kWarps + threadIdx.y;
    if (column >= outputs) return; // whole warps leave together, and no barrier follows
    const real* w = weight + (size_t)column * weight_stride;
    float sum[kMostRows] = {};
    if (rows == 1) dot<1>(sum, x, w, rows, inputs, x_stride, vectors != 0);
    else if (rows == 2) dot<2>(sum, x, w, rows, inputs, x_stride, vectors != 0);
    else if (rows <= 4) dot<4>(sum, x, w, rows, inputs, x_stride, vectors != 0);
    else dot<kMostRows>(sum, x, w, rows, inputs, x_stride, vectors != 0);

    // Lane r finishes row r.
    float v = 0;
#pragma unroll
    for (int row = 0; row < kMostRows; row++)
    {
        float total = warp_sum(sum[row]);
        if (row == threadIdx.x) v = total;
    }
    Epilogue epilogue = {y, pre, bias, residual, rows, outputs, y_stride, pre_stride, residual_stride, activation, false, wide != 0};
    epilogue.write(threadIdx.x, column, v); // lanes beyond the rows write nothing
}

// A lane owns one column of W and walks down it; the block's warps share the outputs, and their sums meet in shared memory.
// Grid (inputs / 32), block (32, 8).
extern "C" __global__ void __launch_bounds__(256) matvec_backward_input(
    void* dx,                         // (rows, inputs) real, or float where wide
    const real* __restrict__ dy,      // (rows, outputs)
    const real* __restrict__ weight,  // (outputs, inputs)
    const void* residual,             // (rows, inputs) of dx's type or null; dx itself to add to it
    int rows, int inputs, int outputs,
    int dx_stride, int dy_stride, int weight_stride, int residual_stride, int wide)
{
    __shared__ float part[8 * kMostRows * kWarp]; // (warp, row, lane)
    int column = blockIdx.x * kWarp + threadIdx.x, warp = threadIdx.y, warps = blockDim.y;
    float sum[kMostRows] = {};
    if (column < inputs)
    {
#pragma unroll 4
        for (int n = warp; n < outputs; n += warps)
        {
            float w = load(weight + (size_t)n * weight_stride + column);
#pragma unroll
            for (int row = 0; row < kMostRows; row++)
            {
                if (row < rows) sum[row] = fmaf(load(dy + (size_t)row * dy_stride + n), w, sum[row]); // one address a warp
            }
        }
    }
#pragma unroll
    for (int row = 0; row < kMostRows; row++) part[(warp * kMostRows + row) * kWarp + threadIdx.x] = sum[row];
    __syncthreads();

    Epilogue epilogue = {dx, nullptr, nullptr, residual, rows, inputs, dx_stride, 0, residual_stride, kNone, false, wide != 0};
    for (int row = warp; row < rows; row += warps)
    {
        float v = 0;
        for (int w = 0; w < warps; w++) v += part[(w * kMostRows + row) * kWarp + threadIdx.x];
        epilogue.write(row, column, v);
    }
}
