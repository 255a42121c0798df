// rotary.cu: rotary position embedding (Su et al. 2021, in LLaMA's order of pairs).
//
//     angle = position * theta^(-2 i / D)                 i in [0, D / 2), or position * a given frequency
//     y_i         = x_i cos - x_(i + D/2) sin
//     y_(i + D/2) = x_(i + D/2) cos + x_i sin             direction -1 turns back, which is the backward pass
//
// x, y (B, T, H D), rows may be strided, y may be x. Nothing is saved and nothing accumulated.
// Far positions have large angles: f32 would lose 6e-5 of a turn at position 1000, so angles are counted in double, in half turns, and
// only what is left of whole turns is given to the f32 sine. All heads of a row share one set of sines.
// Cost: x is read and y written once, which is the floor; the powers of theta are the start of a block, shared by its rows.

#include "common/prelude.cuh"

constexpr int kRowsOfBlock = 8; // rows that share a table of frequencies, whose powers are the dear part

// Shared memory: D / 2 doubles (half turns a position) and D floats (cosines, then sines, of the row at hand).
extern "C" __global__ void __launch_bounds__(128) rotary_turn(
    real* y,                            // (N, H D) may be x
    const real* x,                      // (N, H D)
    const int* __restrict__ positions,  // (N)
    const float* __restrict__ frequencies, // (D / 2) in place of theta's, or null
    int N, int H, int D, int y_stride, int x_stride, float theta, int direction)
{
    extern __shared__ double shared[];
    int half = D / 2;
    double* turns = shared;
    float* cosines = (float*)(turns + half);
    float* sines = cosines + half;
    for (int i = threadIdx.x; i < half; i += blockDim.x)
    {
        turns[i] = (frequencies ? frequencies[i] : pow((double)theta, -(double)i / half)) * 0.31830988618379067154; // 1 / pi
    }

    for (int row = blockIdx.x * kRowsOfBlock; row < N && row < (blockIdx.x + 1) * kRowsOfBlock; row++)
    {
        __syncthreads(); // the last row's sines are still being read
        for (int i = threadIdx.x; i < half; i += blockDim.x)
        {
            double a = positions[row] * turns[i];
            float rest = (float)(a - 2 * rint(a / 2)); // in [-1, 1] half turns
            cosines[i] = cospif(rest);
            sines[i] = direction * sinpif(rest);
        }
        __syncthreads();
        const real* from = x + (size_t)row * x_stride;
        real* to = y + (size_t)row * y_stride;
        for (int e = threadIdx.x; e < H * half; e += blockDim.x)
        {
            int h = e / half, i = e % half;
            float a = load(from + h * D + i), b = load(from + h * D + half + i);
            store(to + h * D + i, a * cosines[i] - b * sines[i]);
            store(to + h * D + half + i, b * cosines[i] + a * sines[i]);
        }
    }
}
