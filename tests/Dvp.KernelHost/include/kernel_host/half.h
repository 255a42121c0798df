// half.h: 16-bit floating numbers by hand: exact on the way up, nearest with ties to even on the way down.

#pragma once

#include "bits.h"

namespace kernel_host
{
static inline float float_from_half(unsigned short bits)
{
    unsigned sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ffu;
    if (exponent == 0x1f) return __uint_as_float(sign | 0x7f800000u | fraction << 13);
    if (exponent != 0) return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
    float v = (float)fraction * 5.9604644775390625e-8f; // subnormal: fraction * 2^-24
    return __uint_as_float(sign | __float_as_uint(v));
}

static inline unsigned short half_from_float(float v)
{
    unsigned u = __float_as_uint(v), sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0x7fff; // NaN, as cvt.rn.f16.f32 gives it
    if (magnitude >= 0x477ff000u) return (unsigned short)(sign | 0x7c00u); // from 65520 on: infinity
    if (magnitude < 0x38800000u) // below 2^-14: a multiple of 2^-24
    {
        float scaled = __uint_as_float(magnitude) * 16777216.0f;
        return (unsigned short)(sign | (unsigned)__builtin_rintf(scaled));
    }
    unsigned rounded = magnitude + 0xfffu + (magnitude >> 13 & 1);
    return (unsigned short)(sign | (rounded - 0x38000000u) >> 13);
}

static inline unsigned short bf16_from_float(float v) // NaN becomes 0x7fff
{
    unsigned u = __float_as_uint(v);
    return v != v ? 0x7fff : (unsigned short)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
}
