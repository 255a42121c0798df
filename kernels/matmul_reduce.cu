// matmul_reduce.cu: the second half of a matrix product whose sum was split over blocks: the parts are added in their order, so that two
// runs agree to the bit, and then what follows the product is done as the product's own kernel would have done it.
//
//     v = sum over splits of partial + bias;   pre = v;   y = activation(v) + residual
//
// One thread makes four columns. Reads splits M N floats, which is why a product is split only where its own grid would leave processors idle.

#include "common/epilogue.cuh"

// Grid (ceil(N / 4) * M / 256), 256 threads.
extern "C" __global__ void __launch_bounds__(256, 4) matmul_reduce(
    void* y,                            // (M, N) real, or float where wide
    real* pre,                          // (M, N) or null
    const float* __restrict__ partial,  // (splits, M, N)
    const real* __restrict__ bias,      // (N) or null
    const void* residual,               // (M, N) of y's type or null; may be y
    int M, int N, int splits,
    int y_stride, int pre_stride, int residual_stride,
    int activation,
    int vectors, // 1: bases and strides of y, pre, bias and residual are multiples of four elements
    int wide)
{
    int groups = (N + 3) / 4; // of four columns in a row
    size_t group = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (group >= (size_t)groups * M) return;
    int row = (int)(group / groups), column = (int)(group % groups) * 4;
    const float* p = partial + (size_t)row * N + column;
    size_t part = (size_t)M * N;

    float_4 sum = {};
    if (N % 4 == 0)
    {
        for (int split = 0; split < splits; split++)
        {
            float_4 x = load_4(p + split * part);
#pragma unroll
            for (int i = 0; i < 4; i++) sum.v[i] += x.v[i];
        }
    }
    else
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            for (int split = 0; split < splits && column + i < N; split++) sum.v[i] += p[split * part + i];
        }
    }
    Epilogue epilogue = {y, pre, bias, residual, M, N, y_stride, pre_stride, residual_stride, activation, vectors != 0, wide != 0};
    epilogue.write_4(row, column, sum);
}
