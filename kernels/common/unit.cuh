// unit.cuh: powers of two that bring numbers of any size into the range of 16-bit floats, and back, without rounding.

#pragma once

// The power of two that divides m >= 0 into [1, 2), as far as floats go, and its inverse.
struct Unit
{
    float value, inverse;
};

__device__ __forceinline__ Unit unit_of(float m)
{
    unsigned exponent = __float_as_uint(m) >> 23;
    exponent = exponent < 1 ? 1 : exponent > 253 ? 253 : exponent;
    return {__uint_as_float(exponent << 23), __uint_as_float((254 - exponent) << 23)};
}
