// convert.cu: y = x in another storage type: the f32 values of what trains into the type that products read, a gradient of an f32 stream into
// the type of the product that takes it. Each element is read and written once, which is the floor.

#include "common/words.cuh"

#ifndef source
#define source f32
#endif

// Elements without gaps, from a multiple of 16 bytes on: four a thread, as many rounds as the grid leaves. Grid (count / 1024), 256 threads.
extern "C" __global__ void __launch_bounds__(256) convert_vector(
    real* __restrict__ y,          // (count)
    const source* __restrict__ x,  // (count)
    long count)
{
    for (long i = ((long)blockIdx.x * 256 + threadIdx.x) * 4; i < count; i += (long)gridDim.x * 1024)
    {
        if (i + 4 <= count)
        {
            store_4(y + i, load_4(x + i));
            continue;
        }
        for (long tail = i; tail < count; tail++) store(y + tail, load(x + tail));
    }
}

// Grid (rows / 4), block (64, 4).
extern "C" __global__ void __launch_bounds__(256) convert_rows(
    real* __restrict__ y,          // (rows, columns)
    const source* __restrict__ x,  // (rows, columns)
    int rows, int columns, int y_stride, int x_stride)
{
    int row = blockIdx.x * 4 + threadIdx.y;
    if (row >= rows) return;
    for (int column = threadIdx.x; column < columns; column += 64)
        store(y + (size_t)row * y_stride + column, load(x + (size_t)row * x_stride + column));
}
