// matmul_mma.cu: matrix products on the tensor cores, for 16-bit storage, summed in float.
//
//     forward:        y (rows, outputs) = activation(x W^T + bias) + residual      pre = x W^T + bias, kept for backward
//     backward input: dx (rows, inputs) = dy W + residual
//     backward weight: dW (outputs, inputs) += dy^T x
//
// x (rows, inputs), dy (rows, outputs), W (outputs, inputs). All three are sum = A B^T of an A (M, K) and a B (N, K); they differ in whether K
// runs along the rows of A and B or across them (mma_tile.cuh). Any size and any row stride works: what does not exist counts as zero, and
// operands whose rows do not begin at multiples of 16 bytes are gathered instead of copied.
//
// A block makes tile_m x tile_n of the result with 2 x (tile_n / 32) warps of (tile_m / 2) x 32 each. Pieces of 32 k travel through a ring of
// stages in shared memory: while one is multiplied, the copies (cp.async) of the next ones are under way.
//
//     tile      threads  shared memory   stages
//     128x128   256      48 KiB          3        64 sums a thread; two blocks an SM also where an SM has 100 KiB (sm_89, sm_120)
//     128x64    128      36 KiB          3        twice the blocks; four an SM, two where an SM has 100 KiB
//     64x64     128      32 KiB          4        for short batches: four times the blocks
//
// __launch_bounds__ asks for 512 threads an SM: at most 128 registers a thread, so that registers allow these blocks too.
//
// Cost: 2 M N K FLOPs, the floor where rows are many; each element of A is read once for every tile_n columns of B, and of B once for
// every tile_m rows of A, from the second-level cache where neighbouring blocks run at a time.
//
// Epilogue: a warp passes its sums through shared memory, so that a row's 32 columns leave as whole sectors, four elements a lane, and
// bias, residual and pre-activation are read and written in the same way.
//
// Split sums: blockIdx.z takes the k from blockIdx.z * k_per_split on. With more than one split the parts go to `partial` (splits, M, N), and
// matmul_reduce.cu adds them in their order and does what follows the product.

#include "common/epilogue.cuh"
#include "common/mma_tile.cuh"

#ifndef tile_m
#define tile_m 128
#endif
#ifndef tile_n
#define tile_n 128
#endif

constexpr int kWarpsN = tile_n / 32, kWarps = 2 * kWarpsN, kThreads = kWarps * kWarp;
constexpr int kStages = tile_m * tile_n > 4096 ? 3 : 4;
constexpr int kChunksA = tile_m * kDepth / 8, kChunksB = tile_n * kDepth / 8; // of a stage
constexpr int kRowFragments = tile_m / 2 / 16, kColumnFragments = 32 / 8;     // of a warp

__shared__ word_4 stages[kStages * (kChunksA + kChunksB)];

template <Layout kA, Layout kB>
__device__ __forceinline__ void multiply(
    const Epilogue& epilogue, float* partial, const real* a, const real* b, int K, int a_stride, int b_stride, int k_per_split,
    bool a_aligned, bool b_aligned)
{
    int M = epilogue.M, N = epilogue.N;
    int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    int warp_m = warp / kWarpsN * (tile_m / 2), warp_n = warp % kWarpsN * 32; // this warp's corner of the tile
    int k_start = blockIdx.z * k_per_split;
    int left = min(K - k_start, k_per_split); // k that have not been fetched

    PieceLoader<kA, tile_m, kThreads> from_a(a, blockIdx.x * tile_m, M, a_stride, k_start, a_aligned);
    PieceLoader<kB, tile_n, kThreads> from_b(b, blockIdx.y * tile_n, N, b_stride, k_start, b_aligned);
    int place_a = place_of_a<kA, tile_m>(warp_m, lane), place_b = place_of_b<kB, tile_n>(warp_n, lane);
    float sum[kRowFragments][kColumnFragments][4] = {};
    auto fetch = [&](int stage)
    {
        word_4* to = stages + stage * (kChunksA + kChunksB);
        from_a.fetch(to, left);
        from_b.fetch(to + kChunksA, left);
        left -= kDepth;
    };
    auto use = [&](int stage)
    {
        const word_4* piece_a = stages + stage * (kChunksA + kChunksB);
        const word_4* piece_b = piece_a + kChunksA;
#pragma unroll
        for (int k = 0; k < kDepth; k += 16)
        {
            unsigned fa[kRowFragments][4], fb[kColumnFragments / 2][4];
#pragma unroll
            for (int i = 0; i < kRowFragments; i++) load_fragment<kA, tile_m>(fa[i], piece_a, place_a, i * 16, k);
#pragma unroll
            for (int j = 0; j < kColumnFragments / 2; j++) load_fragment<kB, tile_n>(fb[j], piece_b, place_b, j * 16, k);
#pragma unroll
            for (int i = 0; i < kRowFragments; i++)
            {
#pragma unroll
                for (int j = 0; j < kColumnFragments; j++)
                    mma(sum[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1], (const real*)nullptr);
            }
        }
    };
    pipeline<kStages>((left + kDepth - 1) / kDepth, fetch, use);

    // 32 rows of the warp at a time, in a loop that is not unrolled: the epilogue is long.
    float* rows = (float*)stages + warp * 32 * kFloatsOfRow;
    int row0 = blockIdx.x * tile_m + warp_m, column0 = blockIdx.y * tile_n + warp_n;
#pragma unroll 1
    for (int batch = 0; batch < kRowFragments / 2; batch++)
    {
        auto pair = [&](int group, int j) -> word_2
        {
            const float* d = sum[group / 2][j] + group % 2 * 2;
            return {__float_as_uint(d[0]), __float_as_uint(d[1])};
        };
        leave_rows<4>(rows, lane, pair, [&](int row, int column, const float_4& x)
        {
            row += row0 + batch * 32, column += column0;
            if (partial) write_partial(partial + (size_t)blockIdx.z * M * N, row, column, M, N, x);
            else epilogue.write_4(row, column, x);
        });
#pragma unroll
        for (int i = 2; i < kRowFragments; i++) // the next batch's sums take the place of these
        {
#pragma unroll
            for (int j = 0; j < kColumnFragments; j++)
            {
#pragma unroll
                for (int e = 0; e < 4; e++) sum[i - 2][j][e] = sum[i][j][e];
            }
        }
    }
}

// Grid (rows / tile_m, outputs / tile_n, splits), 64 threads for every 32 columns of the tile.
extern "C" __global__ void __launch_bounds__(kThreads, 512 / kThreads) matmul_mma_forward(
    void* y,                           // (rows, outputs) real, or float where wide
    real* pre,                         // (rows, outputs) or null
    float* __restrict__ partial,       // (splits, rows, outputs); null when there is one split
    const real* __restrict__ x,        // (rows, inputs)
    const real* __restrict__ weight,   // (outputs, inputs)
    const real* __restrict__ bias,     // (outputs) or null
    const void* residual,              // (rows, outputs) of y's type or null; may be y
    int rows, int outputs, int inputs, int k_per_split,
    int y_stride, int pre_stride, int x_stride, int weight_stride, int residual_stride,
    int activation,
    int x_aligned, int weight_aligned, // 1: base and stride are multiples of eight elements
    int vectors, // 1: bases and strides of y, pre, bias and residual are multiples of four elements
    int wide)
{
    Epilogue epilogue = {y, pre, bias, residual, rows, outputs, y_stride, pre_stride, residual_stride, activation, vectors != 0, wide != 0};
    multiply<kAlongK, kAlongK>(epilogue, partial, x, weight, inputs, x_stride, weight_stride, k_per_split, x_aligned, weight_aligned);
}

// Grid (rows / tile_m, inputs / tile_n, splits). The sum runs over the outputs.
extern "C" __global__ void __launch_bounds__(kThreads, 512 / kThreads) matmul_mma_backward_input(
    void* dx,                          // (rows, inputs) real, or float where wide
    float* __restrict__ partial,       // (splits, rows, inputs); null when there is one split
    const real* __restrict__ dy,       // (rows, outputs)
    const real* __restrict__ weight,   // (outputs, inputs)
    const void* residual,              // (rows, inputs) of dx's type or null; dx itself to add to it
    int rows, int inputs, int outputs, int k_per_split,
    int dx_stride, int dy_stride, int weight_stride, int residual_stride,
    int dy_aligned, int weight_aligned, int vectors, int wide)
{
    Epilogue epilogue = {dx, nullptr, nullptr, residual, rows, inputs, dx_stride, 0, residual_stride, kNone, vectors != 0, wide != 0};
    multiply<kAlongK, kAcrossK>(epilogue, partial, dy, weight, outputs, dy_stride, weight_stride, k_per_split, dy_aligned, weight_aligned);
}

// Grid (outputs / tile_m, inputs / tile_n, splits). The sum runs over the rows.
extern "C" __global__ void __launch_bounds__(kThreads, 512 / kThreads) matmul_mma_backward_weight(
    float* dweight,                    // (outputs, inputs) +=
    float* __restrict__ partial,       // (splits, outputs, inputs); null when there is one split
    const real* __restrict__ dy,       // (rows, outputs)
    const real* __restrict__ x,        // (rows, inputs)
    int outputs, int inputs, int rows, int k_per_split,
    int dweight_stride, int dy_stride, int x_stride,
    int dy_aligned, int x_aligned, int vectors)
{
    Epilogue epilogue = {dweight, nullptr, nullptr, dweight, outputs, inputs, dweight_stride, 0, dweight_stride, kNone, vectors != 0, true};
    multiply<kAcrossK, kAcrossK>(epilogue, partial, dy, x, rows, dy_stride, x_stride, k_per_split, dy_aligned, x_aligned);
}
