// vector.cuh: four neighbouring elements of a row as one access of 8 or 16 bytes.
//
// A loop over columns is written once, for W = 4 and W = 1; the launcher says `wide` where every row starts at a multiple of four elements
// and has a multiple of four columns, so there is no tail in either form.

#pragma once
#include "common/words.cuh"

template <int W>
struct Floats
{
    float at[W];
};

template <int W, typename T>
__device__ __forceinline__ Floats<W> load_vector(const T* p)
{
    Floats<W> v;
    if constexpr (W == 4)
    {
        float_4 four = load_4(p);
        for (int i = 0; i < 4; i++) v.at[i] = four.v[i];
    }
    else
    {
        v.at[0] = load(p);
    }
    return v;
}

template <int W, typename T>
__device__ __forceinline__ void store_vector(T* p, const Floats<W>& v)
{
    if constexpr (W == 4)
    {
        store_4(p, float_4{{v.at[0], v.at[1], v.at[2], v.at[3]}});
    }
    else
    {
        store(p, v.at[0]);
    }
}

template <int W>
__device__ __forceinline__ Floats<W> operator+(Floats<W> a, const Floats<W>& b)
{
    for (int i = 0; i < W; i++) a.at[i] += b.at[i];
    return a;
}
template <int W>
__device__ __forceinline__ Floats<W> operator*(Floats<W> a, const Floats<W>& b)
{
    for (int i = 0; i < W; i++) a.at[i] *= b.at[i];
    return a;
}
template <int W>
__device__ __forceinline__ float total(const Floats<W>& v)
{
    float sum = v.at[0];
    for (int i = 1; i < W; i++) sum += v.at[i];
    return sum;
}

// A width as a type, so that a lambda can be compiled for both: constexpr int W = decltype(width)::value.
template <int W>
struct Width
{
    static constexpr int value = W;
};

// body(width, c) for the runs of columns c, c + 1, ... that member `rank` of `size` owns.
template <typename Body>
__device__ __forceinline__ void for_columns(size_t rank, size_t size, size_t columns, int wide, Body body)
{
    if (wide)
    {
        for (size_t c = rank * 4; c < columns; c += size * 4) body(Width<4>(), c);
    }
    else
    {
        for (size_t c = rank; c < columns; c += size) body(Width<1>(), c);
    }
}

// The same for one row of a grid (rows, blocks that share a row): c = first_column<W>(), then + column_step<W>() and on.
template <int W>
__device__ __forceinline__ size_t first_column()
{
    return ((size_t)blockIdx.y * blockDim.x + threadIdx.x) * W;
}
template <int W>
__device__ __forceinline__ size_t column_step()
{
    return (size_t)gridDim.y * blockDim.x * W;
}
