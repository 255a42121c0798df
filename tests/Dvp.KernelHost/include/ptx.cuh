// ptx.cuh: the meaning on a CPU of the wrappers in kernels/common/ptx.cuh, which it replaces in the kernel host's compiles.

#pragma once

// Half precision by hand: exact both ways, nearest with ties to even on the way down.
__device__ __forceinline__ float float_from_half(unsigned short bits)
{
    unsigned sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ffu;
    if (exponent == 0x1f) return __uint_as_float(sign | 0x7f800000u | fraction << 13);
    if (exponent != 0) return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
    float v = (float)fraction * 5.9604644775390625e-8f; // subnormal: fraction * 2^-24
    return __uint_as_float(sign | __float_as_uint(v));
}
__device__ __forceinline__ unsigned short half_from_float(float v)
{
    unsigned u = __float_as_uint(v), sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0x7fff; // NaN, as cvt.rn.f16.f32 gives it
    if (magnitude >= 0x477ff000u) return (unsigned short)(sign | 0x7c00u); // from 65520 on: infinity
    if (magnitude < 0x38800000u) // below 2^-14: a multiple of 2^-24
    {
        float scaled = __uint_as_float(magnitude) * 16777216.0f;
        return (unsigned short)(sign | (unsigned)__float2int_rn(scaled));
    }
    unsigned rounded = magnitude + 0xfffu + (magnitude >> 13 & 1);
    return (unsigned short)(sign | (rounded - 0x38000000u) >> 13);
}
