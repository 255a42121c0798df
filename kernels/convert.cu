// convert.cu: y = x in another storage type: a weight's master copy (f32) into the type that products read, a gradient of an f32 stream into
// the type of the product that takes it.

#include "common/prelude.cuh"

#ifndef source
#define source f32
#endif

// Grid (rows * columns / 256, at most 65536), 256 threads.
extern "C" __global__ void __launch_bounds__(256) convert_rows(
    real* __restrict__ y,          // (rows, columns)
    const source* __restrict__ x,  // (rows, columns)
    int rows, int columns, int y_stride, int x_stride)
{
    size_t count = (size_t)rows * columns;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (size_t)gridDim.x * blockDim.x)
    {
        size_t row = i / columns, column = i % columns;
        store(y + row * y_stride + column, load(x + row * x_stride + column));
    }
}
