// vector_types.h: CUDA's short vectors with their alignments, and their make_ functions.

#pragma once

#define KERNEL_HOST_VECTORS(T, Name, Align2, Align4)                                                  \
    struct Name##1 { T x; };                                                                          \
    struct alignas(Align2) Name##2 { T x, y; };                                                     \
    struct Name##3 { T x, y, z; };                                                                    \
    struct alignas(Align4) Name##4 { T x, y, z, w; };                                               \
    static inline Name##1 make_##Name##1(T x) { return {x}; }                                         \
    static inline Name##2 make_##Name##2(T x, T y) { return {x, y}; }                                 \
    static inline Name##3 make_##Name##3(T x, T y, T z) { return {x, y, z}; }                         \
    static inline Name##4 make_##Name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

KERNEL_HOST_VECTORS(signed char, char, 2, 4)
KERNEL_HOST_VECTORS(unsigned char, uchar, 2, 4)
KERNEL_HOST_VECTORS(short, short, 4, 8)
KERNEL_HOST_VECTORS(unsigned short, ushort, 4, 8)
KERNEL_HOST_VECTORS(int, int, 8, 16)
KERNEL_HOST_VECTORS(unsigned int, uint, 8, 16)
KERNEL_HOST_VECTORS(long, long, 16, 16)
KERNEL_HOST_VECTORS(unsigned long, ulong, 16, 16)
KERNEL_HOST_VECTORS(long long, longlong, 16, 16)
KERNEL_HOST_VECTORS(unsigned long long, ulonglong, 16, 16)
KERNEL_HOST_VECTORS(float, float, 8, 16)
KERNEL_HOST_VECTORS(double, double, 16, 16)
#undef KERNEL_HOST_VECTORS

struct dim3
{
    unsigned int x, y, z;
    constexpr dim3(unsigned int x = 1, unsigned int y = 1, unsigned int z = 1) : x(x), y(y), z(z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};
