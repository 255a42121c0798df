// attention_mma.cu: the forward pass of attention_short.cu and attention_tiled.cu on the tensor cores, for 16-bit storage and heads of up to 128 channels.
// Formulas, masks and statistics are those of attention_short.cu; the backward pass is attention_backward_mma.cu's where sequences are short,
// else attention_tiled.cu's.
//
// A block owns `tile` queries, a warp 16 of them. Keys and values pass through two buffers of `tile` rows, so that the next tile is on its way
// while this one is multiplied; a short sequence is one tile, for which there is no second buffer. What mma leaves of q k^T in a lane's registers is
// what mma takes as the left operand of p v: the probabilities never leave the registers. They are rounded to the storage type there
// (at most 2^-9 of 1, the row's largest); sums are float.
//
// -D head_size: 64 or 128, the least that holds D; channels beyond D are zeros.
// -D tile: 32 where queries and keys are no more, else 64.
// Cost at T rows: 4 T T D FLOPs a head, on tensor cores; keys and values are read once for `tile` queries.

#include "common/attention.cuh"
#include "common/head_rows.cuh"

#ifndef tile
#define tile 64
#endif

constexpr int kQueries = tile, kKeys = tile; // of a block, of a buffer
constexpr int kThreads = tile / 16 * kWarp;
constexpr int kBlocks = (head_size == 64 ? 384 : 256) / kThreads; // of a multiprocessor, that registers allow

// body(n, e) for the scores that a lane holds of one of its two rows: of the 8 keys of piece n, number e as mma leaves them.
template <typename Body> __device__ __forceinline__ void each(int row, Body body)
{
#pragma unroll
    for (int n = 0; n < kKeys / 8; n++) body(n, 2 * row), body(n, 2 * row + 1);
}

// Grid (B H, tiles of queries). Shared memory: queries and one or two buffers of keys and values, tile * head_size * 2 bytes each.
extern "C" __global__ void __launch_bounds__(kThreads, kBlocks) attention_forward_mma(
    real* __restrict__ context,         // (B, Tq, H D)
    float* __restrict__ statistics,     // (B, H, Tq, 2) or null
    const real* __restrict__ q,         // (B, Tq, H D)
    const real* __restrict__ k,         // (B, Tk, G D)
    const real* __restrict__ v,         // (B, Tk, G D)
    const void* __restrict__ bias,      // (H, Tq, Tk) or null
    const int* __restrict__ key_mask,   // (B, Tk) or null
    const int* __restrict__ key_lengths, // (B) or null
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, Tq, Tk) factors or null
    int Tq, int Tk, int H, int G, int D, int context_stride, int q_stride, int k_stride, int v_stride,
    int q_aligned, int k_aligned, int v_aligned, int context_aligned, // 1: every head of every row begins at a multiple of 16 bytes
    int causal, int bias_wide, int keep_wide, int site, float scale, float rate)
{
    extern __shared__ word_4 stages[];
    constexpr int kTile = tile * kHeadChunks;
    word_4* queries = stages;
    int b = blockIdx.x / H, h = blockIdx.x % H, g = h / (H / G);
    int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, block_first = blockIdx.y * kQueries;
    ScoreRule rule = score_rule(bias, key_mask, key_lengths, dropout, keep_mask, b, h, H, Tq, Tk, causal, bias_wide, keep_wide, site, scale, rate);
    bool drops = rule.drops();
    const real* first_key = k + (size_t)b * Tk * k_stride + g * D;
    const real* first_value = v + (size_t)b * Tk * v_stride + g * D;
    auto fetch = [&](int t0)
    {
        word_4* keys = stages + (1 + 2 * (t0 / kKeys % 2)) * kTile;
        fetch_rows(keys, kKeys, first_key + (size_t)t0 * k_stride, k_stride, Tk - t0, D, k_aligned);
        fetch_rows(keys + kTile, kKeys, first_value + (size_t)t0 * v_stride, v_stride, Tk - t0, D, v_aligned);
        cp_async_commit();
    };

    int end = rule.length;
    if (causal && block_first + kQueries + Tk - Tq < end) end = block_first + kQueries + Tk - Tq; // no query of the block sees further
    fetch_rows(queries, kQueries, q + ((size_t)b * Tq + block_first) * q_stride + h * D, q_stride, Tq - block_first, D, q_aligned);
    cp_async_commit(); // by itself: a block whose sequence is empty brings no keys
    if (end > 0) fetch(0);
    cp_async_wait<0>();
    __syncthreads();
    unsigned left[head_size / 16][4];
    int matrix_row = lane % 8, second = lane / 8 % 2, third = lane / 16; // which row of which of four matrices a lane points at
#pragma unroll
    for (int d = 0; d < head_size / 16; d++)
    {
        ldmatrix_x4(left[d], queries + swizzled<kHeadChunks>(warp * 16 + second * 8 + matrix_row, 2 * d + third));
    }

    // Every 16 x 16 of a tile is at one of these, but for a constant and an XOR: the swizzle turns the lowest three bits of a chunk's place alone.
    int place_k = swizzled<kHeadChunks>(third * 8 + matrix_row, second), place_v = swizzled<kHeadChunks>(second * 8 + matrix_row, third);

    // A lane has columns 2 (lane % 4) and the next of rows lane / 4 (r = 0) and lane / 4 + 8 (r = 1) of every 16 x 8 piece.
    int i0 = block_first + warp * 16 + lane / 4;
    float highest[2] = {-infinity(), -infinity()}, total[2] = {}, o[head_size / 8][4] = {};
    for (int t0 = 0; t0 < end; t0 += kKeys)
    {
        cp_async_wait<0>();
        __syncthreads(); // the tile is there for all, and nobody reads the other buffer any more
        if (t0 + kKeys < end) fetch(t0 + kKeys);
        const word_4* keys = stages + (1 + 2 * (t0 / kKeys % 2)) * kTile;
        const word_4* values = keys + kTile;

        float s[kKeys / 8][4] = {};
#pragma unroll
        for (int d = 0; d < head_size / 16; d++)
        {
#pragma unroll
            for (int n = 0; n < kKeys / 16; n++)
            {
                unsigned right[4];
                ldmatrix_x4(right, keys + n * 16 * kHeadChunks + (place_k ^ 2 * d));
                mma(s[2 * n], left[d], right[0], right[1], q);
                mma(s[2 * n + 1], left[d], right[2], right[3], q);
            }
        }

        int j0 = t0 + lane % 4 * 2; // this lane's first key
        if (rule.plain(t0 + kKeys, block_first))
        {
#pragma unroll
            for (int r = 0; r < 2; r++) each(r, [&](int n, int e) { s[n][e] *= scale; });
        }
        else
        {
            in_turns(s, [&](int n, float (&four)[4])
            {
#pragma unroll
                for (int e = 0; e < 4; e++)
                {
                    int i = i0 + e / 2 * 8;
                    four[e] = i < Tq ? rule.score(four[e], i, j0 + n * 8 + e % 2) : -infinity();
                }
            });
        }
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
            float top = highest[r];
            each(r, [&](int n, int e) { top = fmaxf(top, s[n][e]); });
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1)); // four lanes share a row
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
            float shift = top == -infinity() ? 0 : top; // a row that has seen no key yet: exp of minus infinity, and sums that are zero
            float factor = expf(highest[r] - shift), added = 0;
            each(r, [&](int n, int e)
            {
                s[n][e] = expf(s[n][e] - shift);
                added += s[n][e];
            });
            added += __shfl_xor_sync(0xffffffffu, added, 1);
            added += __shfl_xor_sync(0xffffffffu, added, 2);
            total[r] = total[r] * factor + added;
            highest[r] = top;
#pragma unroll
            for (int n = 0; n < head_size / 8; n++) o[n][2 * r] *= factor, o[n][2 * r + 1] *= factor;
        }
        if (drops)
        {
            in_turns(s, [&](int n, float (&four)[4])
            {
#pragma unroll
                for (int r = 0; r < 2; r++)
                {
                    if (i0 + r * 8 >= Tq) break;
                    Floats<2> factors = rule.keep_2(i0 + r * 8, j0 + n * 8);
                    four[2 * r] *= factors.at[0], four[2 * r + 1] *= factors.at[1];
                }
            });
        }

#pragma unroll
        for (int n = 0; n < kKeys / 16; n++)
        {
            unsigned weights[4] = {pack(s[2 * n][0], s[2 * n][1], q), pack(s[2 * n][2], s[2 * n][3], q),
                                   pack(s[2 * n + 1][0], s[2 * n + 1][1], q), pack(s[2 * n + 1][2], s[2 * n + 1][3], q)};
#pragma unroll
            for (int d = 0; d < head_size / 16; d++)
            {
                unsigned right[4];
                ldmatrix_x4_trans(right, values + n * 16 * kHeadChunks + (place_v ^ 2 * d));
                mma(o[2 * d], weights, right[0], right[1], q);
                mma(o[2 * d + 1], weights, right[2], right[3], q);
            }
        }
    }

    float inverse[2];
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        int i = i0 + 8 * r;
        inverse[r] = total[r] == 0 ? 0 : 1 / total[r];
        if (i < Tq && statistics && lane % 4 == 0) save_statistics(statistics, rule.row + i, total[r] == 0 ? 0 : highest[r], inverse[r]);
    }
    leave_head(context + (size_t)b * Tq * context_stride + h * D, context_stride, i0, Tq, D, context_aligned, o, inverse);
}
