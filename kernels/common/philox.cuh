// philox.cuh: the dropout stream. Element e (its number in the contiguous order of the tensor) of site s at step t is kept when
//
//     (word >> 8) * 2^-24 >= rate,   word = number e mod 4 of Philox4x32-10 with counter (e / 4, s, t low, t high), key (seed low, seed high)
//
// and is then scaled by 1 / (1 - rate). Any device draws the same bits, whatever the order in which it asks for them.
// state: I32 (4) in device memory: seed low, seed high, step low, step high.

#pragma once
#include "common/vector.cuh"

struct PhiloxWords
{
    unsigned at[4];
};

__device__ __forceinline__ PhiloxWords philox4x32_10(const int* state, int site, unsigned block)
{
    unsigned key0 = (unsigned)state[0], key1 = (unsigned)state[1];
    unsigned a0 = block, a1 = (unsigned)site, a2 = (unsigned)state[2], a3 = (unsigned)state[3];
    for (int round = 0; round < 10; round++)
    {
        unsigned long long p0 = (unsigned long long)a0 * 0xD2511F53u, p1 = (unsigned long long)a2 * 0xCD9E8D57u;
        a0 = (unsigned)(p1 >> 32) ^ a1 ^ key0;
        a1 = (unsigned)p1;
        a2 = (unsigned)(p0 >> 32) ^ a3 ^ key1;
        a3 = (unsigned)p0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return {{a0, a1, a2, a3}};
}

__device__ __forceinline__ float keep_factor_of_word(unsigned word, float rate)
{
    return (float)(word >> 8) * 5.9604644775390625e-8f >= rate ? 1 / (1 - rate) : 0.0f;
}

// Factors (0 or 1 / (1 - rate)) of elements [4 block, 4 block + 4).
__device__ __forceinline__ Floats<4> keep_factors(const int* state, int site, size_t block, float rate)
{
    PhiloxWords words = philox4x32_10(state, site, (unsigned)block);
    Floats<4> factors;
    for (int i = 0; i < 4; i++) factors.at[i] = keep_factor_of_word(words.at[i], rate);
    return factors;
}

// Factor of one element. Whoever needs neighbours asks for four at once: the work is the same.
__device__ __forceinline__ float keep_factor(const int* state, int site, size_t element, float rate)
{
    PhiloxWords words = philox4x32_10(state, site, (unsigned)(element >> 2));
    int i = (int)(element & 3);
    unsigned word = i < 2 ? (i == 0 ? words.at[0] : words.at[1]) : (i == 2 ? words.at[2] : words.at[3]); // no indexing: it would leave the registers
    return keep_factor_of_word(word, rate);
}
