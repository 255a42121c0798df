// elementwise.cu: operators that give every element its own result: fill, copy, add, dropout, activation.
//
// Rows at any stride; rows without gaps are passed as one long row. y is of type `real`, x of type `from` (-D from=f32 | bf16 | f16): any
// mix of the two, read and written once, is the floor. y may be x, so pointers are not __restrict__; a thread reads only what it writes.
// Grid (rows, blocks that share a row).

#include "common/activation.cuh"
#include "common/philox.cuh"
#include "common/vector.cuh"

#ifndef from
#define from real
#endif

template <int W>
__device__ __forceinline__ void fill_row(real* y, float value, size_t columns)
{
    Floats<W> v;
    for (int i = 0; i < W; i++) v.at[i] = value;
    for (size_t c = first_column<W>(); c < columns; c += column_step<W>()) store_vector<W>(y + c, v);
}

// y = value
extern "C" __global__ void elementwise_fill(
    real* __restrict__ y, // (rows, columns)
    float value, size_t columns, int y_stride, int wide)
{
    y += (size_t)blockIdx.x * y_stride;
    if (wide) fill_row<4>(y, value, columns);
    else fill_row<1>(y, value, columns);
}

template <int W>
__device__ __forceinline__ void copy_row(real* y, const from* x, size_t columns)
{
    for (size_t c = first_column<W>(); c < columns; c += column_step<W>()) store_vector<W>(y + c, load_vector<W>(x + c));
}

// y = x
extern "C" __global__ void elementwise_copy(
    real* __restrict__ y,       // (rows, columns)
    const from* __restrict__ x, // (rows, columns)
    size_t columns, int y_stride, int x_stride, int wide)
{
    y += (size_t)blockIdx.x * y_stride, x += (size_t)blockIdx.x * x_stride;
    if (wide) copy_row<4>(y, x, columns);
    else copy_row<1>(y, x, columns);
}

template <int W>
__device__ __forceinline__ void add_row(real* y, const from* x, size_t columns)
{
    for (size_t c = first_column<W>(); c < columns; c += column_step<W>())
        store_vector<W>(y + c, load_vector<W>(y + c) + load_vector<W>(x + c));
}

// y += x
extern "C" __global__ void elementwise_add(
    real* y,       // (rows, columns)
    const from* x, // (rows, columns)
    size_t columns, int y_stride, int x_stride, int wide)
{
    y += (size_t)blockIdx.x * y_stride, x += (size_t)blockIdx.x * x_stride;
    if (wide) add_row<4>(y, x, columns);
    else add_row<1>(y, x, columns);
}

// first: number of the row's first element in the contiguous order of the tensor, whatever the strides.
template <int W>
__device__ __forceinline__ void dropout_row(
    real* y, const from* x, const int* state, const float* factors, int site, float rate, size_t first, size_t columns, int accumulate)
{
    for (size_t c = first_column<W>(); c < columns; c += column_step<W>())
    {
        Floats<W> keep;
        if (factors) keep = load_vector<W>(factors + first + c);
        else if constexpr (W == 4) keep = keep_factors(state, site, (first + c) / 4, rate); // four elements are one draw
        else keep.at[0] = keep_factor(state, site, first + c, rate);
        Floats<W> v = load_vector<W>(x + c) * keep;
        store_vector<W>(y + c, accumulate ? load_vector<W>(y + c) + v : v);
    }
}

// y (+)= x * factor, the factor 0 or 1 / (1 - rate). Backward is the same with gradients.
extern "C" __global__ void dropout_apply(
    real* y,                           // (rows, columns)  = or +=
    const from* x,                     // (rows, columns)
    const int* __restrict__ state,     // (4) seed and step; or null
    const float* __restrict__ factors, // (rows, columns) explicit factors in place of the stream; or null
    int site, float rate, size_t columns, int y_stride, int x_stride, int accumulate, int wide)
{
    size_t first = blockIdx.x * columns;
    y += (size_t)blockIdx.x * y_stride, x += (size_t)blockIdx.x * x_stride;
    if (wide) dropout_row<4>(y, x, state, factors, site, rate, first, columns, accumulate);
    else dropout_row<1>(y, x, state, factors, site, rate, first, columns, accumulate);
}

template <int W>
__device__ __forceinline__ void activation_forward_row(real* y, const from* x, int activation, size_t columns)
{
    for (size_t c = first_column<W>(); c < columns; c += column_step<W>())
    {
        Floats<W> v = load_vector<W>(x + c);
        for (int i = 0; i < W; i++) v.at[i] = activate(v.at[i], activation);
        store_vector<W>(y + c, v);
    }
}

// y = activation(x)
extern "C" __global__ void activation_forward(
    real* y,       // (rows, columns)
    const from* x, // (rows, columns)
    int activation, size_t columns, int y_stride, int x_stride, int wide)
{
    y += (size_t)blockIdx.x * y_stride, x += (size_t)blockIdx.x * x_stride;
    if (wide) activation_forward_row<4>(y, x, activation, columns);
    else activation_forward_row<1>(y, x, activation, columns);
}

template <int W>
__device__ __forceinline__ void activation_backward_row(real* dx, const from* dy, const real* x, int activation, size_t columns)
{
    for (size_t c = first_column<W>(); c < columns; c += column_step<W>())
    {
        Floats<W> v = load_vector<W>(x + c);
        for (int i = 0; i < W; i++) v.at[i] = activation_slope(v.at[i], activation);
        store_vector<W>(dx + c, v * load_vector<W>(dy + c));
    }
}

// dx = dy * activation'(x)
extern "C" __global__ void activation_backward(
    real* dx,                   // (rows, columns)
    const from* dy,             // (rows, columns)
    const real* __restrict__ x, // (rows, columns) before the activation
    int activation, size_t columns, int dx_stride, int dy_stride, int x_stride, int wide)
{
    dx += (size_t)blockIdx.x * dx_stride, dy += (size_t)blockIdx.x * dy_stride, x += (size_t)blockIdx.x * x_stride;
    if (wide) activation_backward_row<4>(dx, dy, x, activation, columns);
    else activation_backward_row<1>(dx, dy, x, activation, columns);
}
