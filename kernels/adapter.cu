// adapter.cu: the adapters of DVP in one kernel a direction, for 16-bit storage and up to 128 hidden channels.
//
//     forward:  pre = x down^T + b1;   hidden = activation(pre);   y = x + hidden up^T + b2
//     backward: dhidden = (dy up) activation'(pre);   dx = dy + dhidden down
//
// x, y, dy, dx (N, C); pre, hidden, dhidden (N, R) with R = C / 8 or less; down (R, C), up (C, R). pre and hidden are kept for backward; the
// parameters' gradients are products of dhidden, hidden, x and dy and are made by matmul_mma.cu.
//
// Both directions are the same two products with something in between: (N, C) times a first weight gives (N, R), that times a second gives (N, C). A
// block takes 32 rows and all channels. The first product sums over C, 32 at a time through the ring of stages (mma_tile.cuh); its result stays in
// shared memory as 16-bit values, in the order in which ldmatrix reads it; the second product then walks over C, 128 outputs at a time.
// x and y (dy and dx) are the only traffic with memory that grows with N: 2 N C elements read (the residual's second reading is from the cache)
// and written; the weights, 2 R C elements, stay in the L2 cache.
//
// 8 warps: 2 x 4 pieces of 16 rows x 32 columns, in both products. Warps beyond R sit out the first.

#include "common/epilogue.cuh"
#include "common/mma_tile.cuh"

constexpr int kRows = 32, kHidden = 128, kColumns = 128; // of a block: rows, most hidden channels, outputs of the second product at a time
constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kStages = 3;
constexpr int kChunksX = kRows * kDepth / 8, kChunksWeight = 128 * kDepth / 8; // of a stage
constexpr int kChunksStage = kChunksX + kChunksWeight;
constexpr int kChunksHidden = kRows * kHidden / 8;
constexpr int kRowFloats = 8 * kFloatsOfRow; // of a warp: eight rows on their way out

__shared__ word_4 shared[kStages * kChunksStage + kChunksHidden + kWarps * kRowFloats / 4]; // stages, hidden, rows of the warps

// 16 rows of A (whose pieces are kRows x kDepth, kAlongK) times 32 outer of B.
template <Layout kB> __device__ __forceinline__ void multiply_piece(float (&sum)[4][4], const word_4* a, const word_4* b, int place_a, int place_b)
{
#pragma unroll
    for (int k = 0; k < kDepth; k += 16)
    {
        unsigned fa[4], fb[2][4];
        load_fragment<kAlongK, kRows>(fa, a, place_a, 0, k);
#pragma unroll
        for (int j = 0; j < 2; j++) load_fragment<kB, 128>(fb[j], b, place_b, j * 16, k);
#pragma unroll
        for (int j = 0; j < 4; j++) mma(sum[j], fa, fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1], (const real*)nullptr);
    }
}

// The 16 rows of a warp, eight at a time.
template <typename Leave> __device__ __forceinline__ void leave_sums(float* rows, const float (&sum)[4][4], int lane, Leave leave)
{
#pragma unroll 1
    for (int half = 0; half < 2; half++)
    {
        auto pair = [&](int, int j) -> word_2
        {
            return {__float_as_uint(half ? sum[j][2] : sum[j][0]), __float_as_uint(half ? sum[j][3] : sum[j][1])};
        };
        leave_rows<1>(rows, lane, pair, [&](int row, int column, const float_4& values) { leave(half * 8 + row, column, values); });
    }
}

// middle(row, column, values) turns four sums of the first product into what the second takes.
template <Layout kWeight, typename Middle>
__device__ __forceinline__ void adapter(
    const Epilogue& last, const real* x, const real* first, const real* second, int R, int x_stride, int first_stride, int second_stride,
    bool x_aligned, bool first_aligned, bool second_aligned, Middle middle)
{
    word_4* hidden = shared + kStages * kChunksStage;
    int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    float* rows = (float*)(hidden + kChunksHidden) + warp * kRowFloats;
    int N = last.M, C = last.N;
    int row0 = blockIdx.x * kRows, warp_row = warp / 4 * 16, warp_column = warp % 4 * 32;
    int place_a = place_of_a<kAlongK, kRows>(warp_row, lane), place_b = place_of_b<kWeight, 128>(warp_column, lane);
    float sum[4][4] = {};

    // (32, C) times (R, C)^T. Half the threads suffice for x.
    PieceLoader<kAlongK, kRows, kThreads / 2> from_x(x, row0, N, x_stride, 0, x_aligned);
    PieceLoader<kWeight, kHidden, kThreads> from_first(first, 0, R, first_stride, 0, first_aligned);
    int left = C;
    pipeline<kStages>((C + kDepth - 1) / kDepth,
        [&](int stage)
        {
            word_4* to = shared + stage * kChunksStage;
            if (threadIdx.x < kThreads / 2) from_x.fetch(to, left);
            from_first.fetch(to + kChunksX, left);
            left -= kDepth;
        },
        [&](int stage)
        {
            const word_4* piece = shared + stage * kChunksStage;
            if (warp_column < R) multiply_piece<kWeight>(sum, piece, piece + kChunksX, place_a, place_b);
        });

    // Column c of hidden lies in piece c / 32, chunk c / 8 % 4. What is beyond R is zero, and so is what the second weight has there.
    leave_sums(rows, sum, lane, [&](int row, int column, const float_4& values)
    {
        row += warp_row;
        float_4 h = middle(row0 + row, warp_column + column, values);
        word_4& chunk = hidden[warp_column / kDepth * kChunksX + swizzled<kDepth / 8>(row, column / 8)];
        chunk.w[column / 2 % 4] = pack(h.v[0], h.v[1], (const real*)nullptr);
        chunk.w[column / 2 % 4 + 1] = pack(h.v[2], h.v[3], (const real*)nullptr);
    });

    // (32, R) times (C, R)^T, 128 of C at a time; the ring's first barrier makes hidden visible.
    int depths = (R + kDepth - 1) / kDepth, tiles = (C + kColumns - 1) / kColumns;
    int fetched = 0, used = 0; // pieces: those of a tile's sum, then the next tile's
    PieceLoader<kWeight, kColumns, kThreads> from_second(second, 0, C, second_stride, 0, second_aligned);
    pipeline<kStages>(depths * tiles,
        [&](int stage)
        {
            int depth = fetched % depths;
            if (depth == 0)
                from_second = PieceLoader<kWeight, kColumns, kThreads>(second, fetched / depths * kColumns, C, second_stride, 0, second_aligned);
            from_second.fetch(shared + stage * kChunksStage, R - depth * kDepth);
            fetched++;
        },
        [&](int stage)
        {
            int depth = used % depths, tile = used / depths;
            used++;
            if (depth == 0)
            {
#pragma unroll
                for (int j = 0; j < 4; j++)
                {
#pragma unroll
                    for (int i = 0; i < 4; i++) sum[j][i] = 0;
                }
            }
            multiply_piece<kWeight>(sum, hidden + depth * kChunksX, shared + stage * kChunksStage, place_a, place_b);
            if (depth < depths - 1) return;
            leave_sums(rows, sum, lane, [&](int row, int column, const float_4& values)
            {
                last.write_4(row0 + warp_row + row, tile * kColumns + warp_column + column, values);
            });
        });
}

// Grid (N / 32), 256 threads.
extern "C" __global__ void __launch_bounds__(256, 2) adapter_forward(
    real* __restrict__ y,               // (N, C)
    real* __restrict__ pre,             // (N, R)
    real* __restrict__ hidden,          // (N, R)
    const real* __restrict__ x,         // (N, C)
    const real* __restrict__ down,      // (R, C)
    const real* __restrict__ down_bias, // (R)
    const real* __restrict__ up,        // (C, R)
    const real* __restrict__ up_bias,   // (C)
    int N, int C, int R,
    int y_stride, int pre_stride, int hidden_stride, int x_stride,
    int activation,
    int x_aligned, int down_aligned, int up_aligned, // 1: base and stride are multiples of eight elements
    int y_vectors, int hidden_vectors) // 1: bases and strides of x, y, up_bias (of pre, hidden, down_bias) are multiples of four elements
{
    Epilogue middle = {hidden, pre, down_bias, nullptr, N, R, hidden_stride, pre_stride, 0, activation, hidden_vectors != 0, false};
    Epilogue last = {y, nullptr, up_bias, x, N, C, y_stride, 0, x_stride, kNone, y_vectors != 0, false};
    adapter<kAlongK>(last, x, down, up, R, x_stride, C, R, x_aligned, down_aligned, up_aligned,
        [&](int row, int column, const float_4& sum) { return middle.write_4(row, column, sum); });
}

// Grid (N / 32), 256 threads.
extern "C" __global__ void __launch_bounds__(256, 2) adapter_backward(
    real* __restrict__ dx,        // (N, C)
    real* __restrict__ dhidden,   // (N, R)
    const real* __restrict__ dy,  // (N, C)
    const real* __restrict__ pre, // (N, R)
    const real* __restrict__ down, // (R, C)
    const real* __restrict__ up,  // (C, R)
    int N, int C, int R,
    int dx_stride, int dhidden_stride, int dy_stride, int pre_stride,
    int activation,
    int dy_aligned, int down_aligned, int up_aligned, // 1: base and stride are multiples of eight elements
    int dx_vectors, int dhidden_vectors) // 1: bases and strides of dx and dy (of dhidden) are multiples of four elements
{
    Epilogue middle = {dhidden, nullptr, nullptr, nullptr, N, R, dhidden_stride, 0, 0, kNone, dhidden_vectors != 0, false};
    Epilogue last = {dx, nullptr, nullptr, dy, N, C, dx_stride, 0, dy_stride, kNone, dx_vectors != 0, false};
    adapter<kAcrossK>(last, dy, up, down, R, dy_stride, R, C, dy_aligned, up_aligned, down_aligned,
        [&](int row, int column, float_4 sum)
        {
#pragma unroll
            for (int i = 0; i < 4; i++)
            {
                if (row < N && column + i < R) sum.v[i] *= activation_slope(load(pre + (size_t)row * pre_stride + column + i), activation);
            }
            return middle.write_4(row, column, sum);
        });
}
