// epilogue.cuh: what follows a matrix product, shared by every kernel that makes one and by the one that adds up the parts of a split sum.
//
//     v = sum + bias;   pre = v;   y = activation(v) + residual
//
// pre is what the activation's backward pass needs. A product that is added to its output passes the output as the residual too: each
// element is read and then written by one and the same thread. y and residual are float where `wide` says so, else real: a branch that all
// take alike, for every four elements, in place of a second compilation of every product.

#pragma once
#include "common/activation.cuh"
#include "common/mixed.cuh"
#include "common/words.cuh"

// Four elements, in one access where that is possible; else those of the first `count` that there are, and zeros.
template <typename T> __device__ __forceinline__ float_4 load_up_to_4(const T* p, bool whole, int count)
{
    if (whole) return load_4(p);
    float_4 x = {};
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        if (i < count) x.v[i] = load(p + i);
    }
    return x;
}
template <typename T> __device__ __forceinline__ void store_up_to_4(T* p, const float_4& x, bool whole, int count)
{
    if (whole)
    {
        store_4(p, x);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        if (i < count) store(p + i, x.v[i]);
    }
}

struct Epilogue
{
    void* y;              // (M, N)
    real* pre;            // (M, N) or null
    const real* bias;     // (N) or null
    const void* residual; // (M, N) or null; may be y
    int M, N;
    int y_stride, pre_stride, residual_stride; // elements from row to row
    int activation;
    bool vectors; // every base address and stride is a multiple of four elements
    bool wide;    // y and residual are float

    // Returns what was written; outside the result the sum as it is, which is zero.
    __device__ __forceinline__ float write(int row, int column, float v) const
    {
        if (row >= M || column >= N) return v;
        if (bias) v += load(bias + column);
        if (pre) store(pre + (size_t)row * pre_stride + column, v);
        v = activate(v, activation);
        if (residual) v += load_mixed(residual, (size_t)row * residual_stride + column, wide);
        store_mixed(y, (size_t)row * y_stride + column, wide, v);
        return v;
    }

    // Columns [column, column + 4); column is a multiple of four.
    __device__ __forceinline__ float_4 write_4(int row, int column, float_4 x) const
    {
        if (row >= M || column >= N) return x;
        bool whole = vectors && column + 4 <= N;
        if (bias) add(x, load_up_to_4(bias + column, whole, N - column));
        if (pre) store_up_to_4(pre + (size_t)row * pre_stride + column, x, whole, N - column);
        activate_4(x.v, activation);
        if (wide) finish<float>(row, column, x, whole);
        else finish<real>(row, column, x, whole);
        return x;
    }

    template <typename T> __device__ __forceinline__ void finish(int row, int column, float_4& x, bool whole) const
    {
        if (residual) add(x, load_up_to_4((const T*)residual + (size_t)row * residual_stride + column, whole, N - column));
        store_up_to_4((T*)y + (size_t)row * y_stride + column, x, whole, N - column);
    }

    static __device__ __forceinline__ void add(float_4& x, const float_4& other)
    {
#pragma unroll
        for (int i = 0; i < 4; i++) x.v[i] += other.v[i];
    }
};

// Writes four columns of a part of a split sum: (M, N) floats without gaps.
__device__ __forceinline__ void write_partial(float* partial, int row, int column, int M, int N, const float_4& x)
{
    if (row >= M || column >= N) return;
    store_up_to_4(partial + (size_t)row * N + column, x, N % 4 == 0, N - column);
}
