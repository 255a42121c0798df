// words.cuh: neighbouring values moved by one instruction. Four values are 16 bytes of f32 or 8 bytes of a 16-bit type; eight values are
// two such or one. The address must be a multiple of the size moved: launchers pass what they know about that.

#pragma once
#include "common/prelude.cuh"

struct float_4 { float v[4]; };
struct float_8 { float v[8]; };
struct alignas(8) word_2 { unsigned w[2]; };
struct alignas(16) word_4 { unsigned w[4]; };

// The two values of a 32-bit word, the lower half first.
__device__ __forceinline__ void unpack(float* v, unsigned word, const bf16*)
{
    v[0] = __uint_as_float(word << 16), v[1] = __uint_as_float(word & 0xffff0000u);
}
__device__ __forceinline__ void unpack(float* v, unsigned word, const f16*)
{
    v[0] = float_from_half((unsigned short)word), v[1] = float_from_half((unsigned short)(word >> 16));
}
__device__ __forceinline__ unsigned pack(float low, float high, const bf16*) { return bf16x2_from_floats(low, high); }
__device__ __forceinline__ unsigned pack(float low, float high, const f16*) { return f16x2_from_floats(low, high); }

__device__ __forceinline__ float_4 load_4(const f32* p)
{
    word_4 words = *(const word_4*)p;
    float_4 r;
#pragma unroll
    for (int i = 0; i < 4; i++) r.v[i] = __uint_as_float(words.w[i]);
    return r;
}
template <typename T> __device__ __forceinline__ float_4 load_4(const T* p)
{
    word_2 words = *(const word_2*)p;
    float_4 r;
#pragma unroll
    for (int i = 0; i < 2; i++) unpack(r.v + 2 * i, words.w[i], p);
    return r;
}
__device__ __forceinline__ void store_4(f32* p, const float_4& x)
{
    word_4 words;
#pragma unroll
    for (int i = 0; i < 4; i++) words.w[i] = __float_as_uint(x.v[i]);
    *(word_4*)p = words;
}
template <typename T> __device__ __forceinline__ void store_4(T* p, const float_4& x)
{
    word_2 words;
#pragma unroll
    for (int i = 0; i < 2; i++) words.w[i] = pack(x.v[2 * i], x.v[2 * i + 1], p);
    *(word_2*)p = words;
}

__device__ __forceinline__ float_8 load_8(const f32* p)
{
    float_8 r;
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        float_4 x = load_4(p + 4 * half);
#pragma unroll
        for (int i = 0; i < 4; i++) r.v[4 * half + i] = x.v[i];
    }
    return r;
}
template <typename T> __device__ __forceinline__ float_8 load_8(const T* p)
{
    word_4 words = *(const word_4*)p;
    float_8 r;
#pragma unroll
    for (int i = 0; i < 4; i++) unpack(r.v + 2 * i, words.w[i], p);
    return r;
}
