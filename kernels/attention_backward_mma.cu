// attention_backward_mma.cu: the backward pass of attention_short.cu on the tensor cores, for 16-bit storage, heads of up to 128 channels, H = G and
// Tq, Tk <= `tile`. Formulas, masks and statistics are those of attention_short.cu.
//
// One block a (sequence, head), its q, do, k and v in shared memory. Two phases with a barrier between them:
//
//     a warp has 16 queries    p from q k^T, dp = do v^T, ds = p (dp - delta); dq = scale ds k
//     a warp has 16 keys       dk = scale ds^T q, dv = w^T do
//
// What mma leaves of ds in a lane's registers it takes as the left operand of ds k; for the second phase ds and w = f p pass through shared memory, and
// ldmatrix turns them round. Both are rounded to the storage type there. Gradients have any size: ds is first divided by the power of two that brings the
// block's largest into [1, 2), so that f16 keeps small ones.
//
// -D head_size: 64 or 128, the least that holds D; channels beyond D are zeros.
// -D tile: 32 or 64, the least that holds queries and keys.
// Cost at T rows: 7 T D elements a head, 10 T T D FLOPs on tensor cores, with T rounded up to a multiple of 16.

#include "common/attention.cuh"
#include "common/head_rows.cuh"
#include "common/unit.cuh"

#ifndef tile
#define tile 64
#endif

constexpr int kThreads = tile / 16 * kWarp; // at most
constexpr int kBlocks = 256 / kThreads * (tile == 32 && head_size == 64 ? 2 : 1); // of a multiprocessor, that registers allow
constexpr int kPairChunks = tile / 8;       // of a query's row of w or ds in shared memory

// The word of shared memory that holds keys j and j + 1, j even, of query i.
__device__ __forceinline__ unsigned* pair_of(word_4* pairs, int i, int j) { return pairs[swizzled<kPairChunks>(i, j / 8)].w + j % 8 / 2; }

// Grid (sequences of this launch * H), a warp for every 16 of the more of queries and keys. Shared memory, in bytes, with Tq and Tk rounded up to
// multiples of 16: 2 (Tq + Tk) head_size * 2 + 2 Tq * tile * 2.
extern "C" __global__ void __launch_bounds__(kThreads, kBlocks) attention_backward_mma(
    real* __restrict__ dq,              // (B, Tq, H D) or null
    real* __restrict__ dk,              // (B, Tk, H D) or null
    real* __restrict__ dv,              // (B, Tk, H D) or null
    float* __restrict__ dscores,        // (sequences of this launch, H, Tq, Tk) or null: for the gradient of the bias
    const real* __restrict__ dcontext,  // (B, Tq, H D)
    const float* __restrict__ statistics, // (B, H, Tq, 2)
    const real* __restrict__ q,         // (B, Tq, H D)
    const real* __restrict__ k,         // (B, Tk, H D)
    const real* __restrict__ v,         // (B, Tk, H D)
    const void* __restrict__ bias,      // (H, Tq, Tk) or null
    const int* __restrict__ key_mask,   // (B, Tk) or null
    const int* __restrict__ key_lengths, // (B) or null
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, Tq, Tk) factors or null
    int first_sequence, int Tq, int Tk, int H, int D,
    int dq_stride, int dk_stride, int dv_stride, int dcontext_stride, int q_stride, int k_stride, int v_stride,
    int dq_aligned, int dk_aligned, int dv_aligned, int dcontext_aligned, int q_aligned, int k_aligned, int v_aligned,
    int causal, int bias_wide, int keep_wide, int site, float scale, float rate)
{
    extern __shared__ word_4 stages[];
    __shared__ float largest[tile / 16];
    int b = first_sequence + blockIdx.x / H, h = blockIdx.x % H, lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    int query_rows = (Tq + 15) / 16 * 16, key_rows = (Tk + 15) / 16 * 16;
    word_4* queries = stages;
    word_4* douts = queries + query_rows * kHeadChunks;
    word_4* keys = douts + query_rows * kHeadChunks;
    word_4* values = keys + key_rows * kHeadChunks;
    word_4* weights = values + key_rows * kHeadChunks; // (query_rows, tile) w
    word_4* gradients = weights + query_rows * kPairChunks; // (query_rows, tile) ds
    fetch_rows(queries, query_rows, q + (size_t)b * Tq * q_stride + h * D, q_stride, Tq, D, q_aligned);
    fetch_rows(douts, query_rows, dcontext + (size_t)b * Tq * dcontext_stride + h * D, dcontext_stride, Tq, D, dcontext_aligned);
    fetch_rows(keys, key_rows, k + (size_t)b * Tk * k_stride + h * D, k_stride, Tk, D, k_aligned);
    fetch_rows(values, key_rows, v + (size_t)b * Tk * v_stride + h * D, v_stride, Tk, D, v_aligned);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();

    ScoreRule rule = score_rule(bias, key_mask, key_lengths, dropout, keep_mask, b, h, H, Tq, Tk, causal, bias_wide, keep_wide, site, scale, rate);
    bool drops = rule.drops(), has_queries = warp * 16 < Tq;
    int matrix_row = lane % 8, second = lane / 8 % 2, third = lane / 16; // which row of which of four matrices a lane points ldmatrix at
    int own_row = warp * 16 + lane / 4, own_column = lane % 4 * 2;        // the first of a lane's two rows, of its two columns in every eight
    float p[tile / 8][4] = {}, ds[tile / 8][4] = {}, top = 0;           // ds: dp at first
    if (has_queries)
    {
#pragma unroll
        for (int d = 0; d < head_size / 16; d++)
        {
            unsigned query[4], dout[4], right[4];
            ldmatrix_x4(query, queries + swizzled<kHeadChunks>(warp * 16 + second * 8 + matrix_row, 2 * d + third));
            ldmatrix_x4(dout, douts + swizzled<kHeadChunks>(warp * 16 + second * 8 + matrix_row, 2 * d + third));
#pragma unroll
            for (int n = 0; n < tile / 16; n++)
            {
                if (n * 16 >= Tk) break;
                int place = swizzled<kHeadChunks>(n * 16 + third * 8 + matrix_row, 2 * d + second);
                ldmatrix_x4(right, keys + place);
                mma(p[2 * n], query, right[0], right[1], q);
                mma(p[2 * n + 1], query, right[2], right[3], q);
                ldmatrix_x4(right, values + place);
                mma(ds[2 * n], dout, right[0], right[1], q);
                mma(ds[2 * n + 1], dout, right[2], right[3], q);
            }
        }

        if (rule.plain(key_rows, warp * 16))
        {
#pragma unroll
            for (int n = 0; n < tile / 8; n++)
            {
#pragma unroll
                for (int e = 0; e < 4; e++) p[n][e] *= scale;
            }
        }
        else
        {
            in_turns(p, [&](int n, float (&four)[4])
            {
#pragma unroll
                for (int e = 0; e < 4; e++)
                {
                    int i = own_row + e / 2 * 8;
                    four[e] = i < Tq ? rule.score(four[e], i, n * 8 + own_column + e % 2) : -infinity();
                }
            });
        }
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
            int i = own_row + 8 * r;
            const float* of_row = statistics + 2 * (rule.row + i);
            float highest = i < Tq ? of_row[0] : 0, inverse = i < Tq ? of_row[1] : 0;
#pragma unroll
            for (int n = 0; n < tile / 8; n++)
            {
                float there = n * 8 < key_rows ? inverse : 0, shift = n * 8 < key_rows ? highest : 0; // no product was made beyond
                p[n][2 * r] = expf(p[n][2 * r] - shift) * there, p[n][2 * r + 1] = expf(p[n][2 * r + 1] - shift) * there;
            }
        }

        // w = f p, and dp with its factors.
        auto weigh = [&](int n, const float (&p4)[4], float (&dp4)[4], bool dropped)
        {
#pragma unroll
            for (int r = 0; r < 2; r++)
            {
                int i = own_row + 8 * r, j = n * 8 + own_column;
                Floats<2> factors = {{1, 1}};
                if (dropped && i < Tq) factors = rule.keep_2(i, j);
                dp4[2 * r] *= factors.at[0], dp4[2 * r + 1] *= factors.at[1];
                *pair_of(weights, i, j) = pack(factors.at[0] * p4[2 * r], factors.at[1] * p4[2 * r + 1], q);
            }
        };
        if (drops) in_turns(p, ds, [&](int n, float (&p4)[4], float (&dp4)[4]) { weigh(n, p4, dp4, true); });
        else
        {
#pragma unroll
            for (int n = 0; n < tile / 8; n++) weigh(n, p[n], ds[n], false);
        }
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
            int i = own_row + 8 * r;
            float delta = 0;
#pragma unroll
            for (int n = 0; n < tile / 8; n++) delta += p[n][2 * r] * ds[n][2 * r] + p[n][2 * r + 1] * ds[n][2 * r + 1];
            delta += __shfl_xor_sync(0xffffffffu, delta, 1); // four lanes share a row
            delta += __shfl_xor_sync(0xffffffffu, delta, 2);
#pragma unroll
            for (int n = 0; n < tile / 8; n++)
            {
                if (n * 8 >= key_rows) break;
#pragma unroll
                for (int e = 0; e < 2; e++)
                {
                    int j = n * 8 + own_column + e;
                    float& gradient = ds[n][2 * r + e];
                    gradient = p[n][2 * r + e] * (gradient - delta);
                    top = fmaxf(top, fabsf(gradient));
                    if (dscores && i < Tq && j < Tk) dscores[((size_t)blockIdx.x * Tq + i) * Tk + j] = gradient;
                }
            }
        }
    }
    top = warp_max(top);
    if (lane == 0) largest[warp] = top;
    __syncthreads();
    top = 0;
    for (int w = 0; w < blockDim.x / kWarp; w++) top = fmaxf(top, largest[w]);
    Unit unit = unit_of(top);
    float ones[2] = {1, 1}, factors[2] = {scale * unit.value, scale * unit.value};

    if (has_queries)
    {
        float sums[head_size / 8][4] = {};
#pragma unroll
        for (int n = 0; n < tile / 16; n++)
        {
            if (n * 16 >= Tk) break;
            unsigned left[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
            {
                const float* two = ds[2 * n + i / 2] + i % 2 * 2;
                left[i] = pack(two[0] * unit.inverse, two[1] * unit.inverse, q);
                *pair_of(gradients, own_row + i % 2 * 8, n * 16 + i / 2 * 8 + own_column) = left[i];
            }
#pragma unroll
            for (int d = 0; d < head_size / 16; d++)
            {
                unsigned right[4];
                ldmatrix_x4_trans(right, keys + swizzled<kHeadChunks>(n * 16 + second * 8 + matrix_row, 2 * d + third));
                mma(sums[2 * d], left, right[0], right[1], q);
                mma(sums[2 * d + 1], left, right[2], right[3], q);
            }
        }
        if (dq) leave_head(dq + (size_t)b * Tq * dq_stride + h * D, dq_stride, own_row, Tq, D, dq_aligned, sums, factors);
    }
    __syncthreads();

    if (warp * 16 >= Tk || !(dk || dv)) return;
    float key_sums[head_size / 8][4] = {}, value_sums[head_size / 8][4] = {};
#pragma unroll
    for (int n = 0; n < tile / 16; n++)
    {
        if (n * 16 >= Tq) break;
        unsigned weight[4], gradient[4], right[4];
        int place = swizzled<kPairChunks>(n * 16 + third * 8 + matrix_row, warp * 2 + second);
        ldmatrix_x4_trans(weight, weights + place);
        ldmatrix_x4_trans(gradient, gradients + place);
#pragma unroll
        for (int d = 0; d < head_size / 16; d++)
        {
            place = swizzled<kHeadChunks>(n * 16 + second * 8 + matrix_row, 2 * d + third);
            ldmatrix_x4_trans(right, queries + place);
            mma(key_sums[2 * d], gradient, right[0], right[1], q);
            mma(key_sums[2 * d + 1], gradient, right[2], right[3], q);
            ldmatrix_x4_trans(right, douts + place);
            mma(value_sums[2 * d], weight, right[0], right[1], q);
            mma(value_sums[2 * d + 1], weight, right[2], right[3], q);
        }
    }
    if (dk) leave_head(dk + (size_t)b * Tk * dk_stride + h * D, dk_stride, own_row, Tk, D, dk_aligned, key_sums, factors);
    if (dv) leave_head(dv + (size_t)b * Tk * dv_stride + h * D, dv_stride, own_row, Tk, D, dv_aligned, value_sums, ones);
}
