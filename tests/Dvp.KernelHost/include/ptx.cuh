// ptx.cuh: the meaning on a CPU of the wrappers in kernels/common/ptx.cuh, which it replaces in the kernel host's compiles.

#pragma once

__device__ __forceinline__ float float_from_half(unsigned short bits) { return kernel_host::float_from_half(bits); }
__device__ __forceinline__ unsigned short half_from_float(float v) { return kernel_host::half_from_float(v); }
__device__ __forceinline__ unsigned f16x2_from_floats(float low, float high)
{
    return half_from_float(low) | (unsigned)half_from_float(high) << 16;
}
__device__ __forceinline__ unsigned bf16x2_from_floats(float low, float high)
{
    return kernel_host::bf16_from_float(low) | (unsigned)kernel_host::bf16_from_float(high) << 16;
}

// The copy arrives when the thread waits for its group, see kernel_host/async_copy.h.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, int bytes)
{
    kernel_host::async_copy(shared, global, 16, (unsigned)bytes);
}
__device__ __forceinline__ void cp_async_16(void* shared, const void* global) { kernel_host::async_copy(shared, global, 16, 16); }
__device__ __forceinline__ void cp_async_commit() { kernel_host::async_commit(); }
template <int kPending> __device__ __forceinline__ void cp_async_wait() { kernel_host::async_wait(kPending); }

// Lane 8 i + r gives the address of row r of matrix i. A lane reads its own row, so that the checks see who reads what; the exchange then deals
// the elements out: lane l holds of every matrix the elements (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1), transposed the mirrored ones.
struct KernelHostMatrices
{
    unsigned row[4], d[4];
    bool transposed;

    static unsigned element(KernelHostMatrices* const* lanes, int matrix, int row, int column)
    {
        return lanes[8 * matrix + row]->row[column / 2] >> (column % 2 * 16) & 0xffffu;
    }
    static void exchange(KernelHostMatrices* const* lanes)
    {
        for (int lane = 0; lane < 32; lane++)
        {
            for (int matrix = 0; matrix < 4; matrix++)
            {
                int g = lane / 4, t = lane % 4 * 2;
                unsigned low = lanes[lane]->transposed ? element(lanes, matrix, t, g) : element(lanes, matrix, g, t);
                unsigned high = lanes[lane]->transposed ? element(lanes, matrix, t + 1, g) : element(lanes, matrix, g, t + 1);
                lanes[lane]->d[matrix] = low | high << 16;
            }
        }
    }
};
__device__ __forceinline__ void kernel_host_ldmatrix(unsigned (&d)[4], const void* shared, bool transposed, const char* name)
{
    if (reinterpret_cast<size_t>(shared) % 16 != 0) kernel_host_state.runtime->fault("an address of ldmatrix is not a multiple of 16");
    uint4 row = *static_cast<const uint4*>(shared);
    KernelHostMatrices mine = {{row.x, row.y, row.z, row.w}, {}, transposed};
    kernel_host::warp_collective(0xffffffffu, mine, [](KernelHostMatrices* const* lanes) { KernelHostMatrices::exchange(lanes); }, name);
    for (int i = 0; i < 4; i++) d[i] = mine.d[i];
}
__device__ __forceinline__ void ldmatrix_x4(unsigned (&d)[4], const void* shared) { kernel_host_ldmatrix(d, shared, false, "ldmatrix"); }
__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&d)[4], const void* shared) { kernel_host_ldmatrix(d, shared, true, "ldmatrix.trans"); }

// d += a b, a (16, 16), b (16, 8), from the fragments that the lanes hold: with g = lane / 4 and t = 2 (lane % 4)
//     a[0]: (g, t) (g, t + 1)   a[1]: (g + 8, t) ..   a[2]: (g, t + 8) ..   a[3]: (g + 8, t + 8) ..
//     b[0]: (t, g) (t + 1, g)   b[1]: (t + 8, g) (t + 9, g)
//     d[0]: (g, t)   d[1]: (g, t + 1)   d[2]: (g + 8, t)   d[3]: (g + 8, t + 1)
// Products are exact and summed in float over k = 0..15; the hardware's order and width of that sum are not documented.
struct KernelHostMma
{
    unsigned a[4], b[2];
    float d[4];

    template <float (*kWiden)(unsigned)> static void multiply(KernelHostMma* const* lanes)
    {
        float a[16][16], b[16][8];
        for (int lane = 0; lane < 32; lane++)
        {
            int g = lane / 4, t = lane % 4 * 2;
            for (int i = 0; i < 4; i++)
            {
                for (int half = 0; half < 2; half++) a[g + i % 2 * 8][t + i / 2 * 8 + half] = kWiden(lanes[lane]->a[i] >> (half * 16) & 0xffffu);
            }
            for (int i = 0; i < 2; i++)
            {
                for (int half = 0; half < 2; half++) b[t + i * 8 + half][g] = kWiden(lanes[lane]->b[i] >> (half * 16) & 0xffffu);
            }
        }
        for (int lane = 0; lane < 32; lane++)
        {
            int g = lane / 4, t = lane % 4 * 2;
            for (int i = 0; i < 4; i++)
            {
                int row = g + i / 2 * 8, column = t + i % 2;
                float sum = lanes[lane]->d[i];
                for (int k = 0; k < 16; k++) sum += a[row][k] * b[k][column];
                lanes[lane]->d[i] = sum;
            }
        }
    }
    static float widen_bf16(unsigned bits) { return __uint_as_float(bits << 16); }
    static float widen_f16(unsigned bits) { return float_from_half((unsigned short)bits); }
};
__device__ __forceinline__ KernelHostMma kernel_host_mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
    return {{a[0], a[1], a[2], a[3]}, {b0, b1}, {d[0], d[1], d[2], d[3]}};
}
__device__ __forceinline__ void mma_bf16_16x8x16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
    KernelHostMma mine = kernel_host_mma(d, a, b0, b1);
    kernel_host::warp_collective(
        0xffffffffu, mine, [](KernelHostMma* const* lanes) { KernelHostMma::multiply<KernelHostMma::widen_bf16>(lanes); }, "mma bf16");
    for (int i = 0; i < 4; i++) d[i] = mine.d[i];
}
__device__ __forceinline__ void mma_f16_16x8x16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
    KernelHostMma mine = kernel_host_mma(d, a, b0, b1);
    kernel_host::warp_collective(
        0xffffffffu, mine, [](KernelHostMma* const* lanes) { KernelHostMma::multiply<KernelHostMma::widen_f16>(lanes); }, "mma f16");
    for (int i = 0; i < 4; i++) d[i] = mine.d[i];
}
