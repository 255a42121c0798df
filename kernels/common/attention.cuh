// attention.cuh: what stands between the product q . k and a probability: scale, bias, the three ways to hide a key, dropout.

#pragma once
#include "common/mixed.cuh"
#include "common/philox.cuh"
#include "common/reduce.cuh"

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7f800000u); }

// Four values that are read together: one 16-byte access of shared memory.
struct alignas(16) Four
{
    float at[4];
};

// The scores of one head of one sequence.
struct ScoreRule
{
    const void* bias;         // (H, Tq, Tk) or null
    const int* key_mask;      // (Tk) of this sequence, 0 hides a key; or null
    const int* dropout_state; // (4), or null without dropout by stream
    const void* keep_mask;    // (B, H, Tq, Tk) factors, or null
    size_t bias_row, row;     // where query 0 of this head stands in (H, Tq) and in (B, H, Tq)
    int Tq, Tk, length, causal, bias_wide, keep_wide, site;
    float scale, rate;

    // The exponent of key j for query i; minus infinity where the key is hidden.
    __device__ __forceinline__ float score(float product, int i, int j) const
    {
        if (j >= length || (causal && j > i + Tk - Tq) || (key_mask && key_mask[j] == 0)) return -infinity();
        float s = product * scale;
        return bias ? s + load_mixed(bias, (bias_row + i) * Tk + j, bias_wide) : s;
    }

    // Whether the scores of all keys before `end` are the scaled products, for query i and those after it.
    __device__ __forceinline__ bool plain(int end, int i) const { return !bias && !key_mask && end <= length && (!causal || end - 1 <= i + Tk - Tq); }

    // The probability of key j for query i, from the row's maximum and 1 / sum as the forward kernel saved them.
    __device__ __forceinline__ float probability(float product, int i, int j, const float* statistics) const
    {
        return expf(score(product, i, j) - statistics[2 * (row + i)]) * statistics[2 * (row + i) + 1];
    }

    __device__ __forceinline__ bool drops() const { return dropout_state || keep_mask; }

    // The dropout factor of a probability: 0 or 1 / (1 - rate). Kernels that hold many probabilities in registers ask for it in for_own.
    __device__ __forceinline__ float keep(int i, int j) const
    {
        size_t element = (row + i) * Tk + j;
        if (keep_mask) return load_mixed(keep_mask, element, keep_wide);
        return dropout_state ? keep_factor(dropout_state, site, element, rate) : 1.0f;
    }

    // Those of keys j and j + 1 at once, of the keys that exist. Mostly both numbers are of one draw: the loop runs once, and stands there once.
    __device__ __forceinline__ Floats<2> keep_2(int i, int j) const
    {
        size_t element = (row + i) * Tk + j;
        Floats<2> factors = {{1, 1}};
        if (keep_mask)
        {
            if (j < Tk) factors.at[0] = load_mixed(keep_mask, element, keep_wide);
            if (j + 1 < Tk) factors.at[1] = load_mixed(keep_mask, element + 1, keep_wide);
            return factors;
        }
#pragma unroll 1
        for (size_t block = element >> 2; block <= (element + 1) >> 2; block++)
        {
            Floats<4> drawn = keep_factors(dropout_state, site, block, rate);
#pragma unroll
            for (int k = 0; k < 4; k++)
            {
                if (block * 4 + k == element) factors.at[0] = drawn.at[k];
                if (block * 4 + k == element + 1) factors.at[1] = drawn.at[k];
            }
        }
        return factors;
    }
};

__device__ __forceinline__ ScoreRule score_rule(
    const void* bias, const int* key_mask, const int* key_lengths, const int* dropout_state, const void* keep_mask,
    int b, int h, int H, int Tq, int Tk, int causal, int bias_wide, int keep_wide, int site, float scale, float rate)
{
    int length = key_lengths ? key_lengths[b] : Tk;
    return {bias, key_mask ? key_mask + (size_t)b * Tk : nullptr, dropout_state, keep_mask, (size_t)h * Tq, ((size_t)b * H + h) * Tq,
            Tq, Tk, length < Tk ? length : Tk, causal, bias_wide, keep_wide, site, scale, rate};
}

// body(n, the lane's scores of piece n in each of the arrays) for what is long and seldom needed (masks, bias, dropout) on the tensor cores: in a loop
// that stays one, through which the scores pass in turn, since registers have no index. In place 32 times it was most of a kernel's code.
template <int kPieces> __device__ __forceinline__ void turn(float (&s)[kPieces][4])
{
#pragma unroll
    for (int e = 0; e < 4; e++)
    {
        float first = s[0][e];
#pragma unroll
        for (int m = 1; m < kPieces; m++) s[m - 1][e] = s[m][e];
        s[kPieces - 1][e] = first;
    }
}
template <int kPieces, typename Body> __device__ __forceinline__ void in_turns(float (&s)[kPieces][4], Body body)
{
#pragma unroll 1
    for (int n = 0; n < kPieces; n++)
    {
        body(n, s[0]);
        turn(s);
    }
}
template <int kPieces, typename Body> __device__ __forceinline__ void in_turns(float (&s)[kPieces][4], float (&t)[kPieces][4], Body body)
{
#pragma unroll 1
    for (int n = 0; n < kPieces; n++)
    {
        body(n, s[0], t[0]);
        turn(s), turn(t);
    }
}

// body(row, t) for the kRows rows of a warp and those of `count` columns that are a lane's, in loops that stay loops. Dropout factors go to
// shared memory this way before they are used: the generator in place, once for every probability in registers, would be a third of a kernel.
template <int kRows, typename Body> __device__ __forceinline__ void for_own(int count, Body body)
{
#pragma unroll 1
    for (int t = threadIdx.x; t < count; t += kWarp)
    {
#pragma unroll 1
        for (int row = 0; row < kRows; row++) body(row, t);
    }
}

__device__ __forceinline__ void save_statistics(float* statistics, size_t row, float highest, float inverse)
{
    statistics[2 * row] = highest, statistics[2 * row + 1] = inverse;
}

// Rows of one head into shared memory, `pitch` apart, by the whole block.
__device__ __forceinline__ void stage_rows(float* to, int pitch, const real* from, int stride, int rows, int D)
{
    for (int row = threadIdx.y; row < rows; row += blockDim.y)
    {
        for (int d = threadIdx.x; d < D; d += kWarp) to[row * pitch + d] = load(from + (size_t)row * stride + d);
    }
}
