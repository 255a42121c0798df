// attention_tiled.cu: attention over any number of tokens: keys and values pass through shared memory a tile at a time, and a running
// softmax (Milakov and Gimelshein 2018; Dao et al. 2022) keeps one maximum and one sum a query. Formulas, masks and what is saved (two
// floats a query) are those of attention_short.cu; either file's backward reads what either file's forward saved.
//
// Backward makes the probabilities again from these, in two passes that need no atomics: one owns queries and walks the keys (dq, and the
// gradients of the scores where the bias trains), one owns keys and walks the queries of all heads that share them, in order (dk, dv).
//     delta_i = sum_j p_ij dp_ij = do_i . o_i        holds under dropout too, as o is made of the dropped probabilities
//
// In 16-bit storage and up to 128 channels a head forward is attention_mma.cu's, and backward of short sequences attention_backward_mma.cu's.
//
// -D head_size: 64, 128 or 256, the least that holds D; sums live in registers, one channel of each 32 a lane.
// Cost at T rows: 4 T T D FLOPs a head forward, 14 backward (scores and dp twice); keys and values are read once for 32 queries.

#include "common/prelude.cuh"
#include "common/attention.cuh"

#ifndef head_size
#define head_size 64
#endif

constexpr int kRows = 4;                 // rows that a warp owns
constexpr int kChunks = head_size / kWarp; // channels of a lane
constexpr int kBlocks = head_size > 128 ? 1 : 2; // that an SM's registers are shared by; the widest heads have no shared memory for two

// Rows [first, first + kRows) of a head, transposed for one warp; rows at or beyond `count` are zeros.
__device__ __forceinline__ void stage_four(Four* to, const real* from, int stride, int first, int count, int D)
{
    for (int r = 0; r < kRows; r++)
    {
        for (int d = threadIdx.x; d < D; d += kWarp) to[d].at[r] = first + r < count ? load(from + (size_t)(first + r) * stride + d) : 0;
    }
}

// products[r][half] = row r of four . row lane + half * 32 of a tile
__device__ __forceinline__ void dot_rows(float (&products)[kRows][2], const Four* four, const float* tile, int pitch, int rows, int D)
{
    int lane = threadIdx.x;
    const float* near = tile + lane * pitch;
    if (rows <= kWarp)
    {
        for (int d = 0; d < D; d++)
        {
            Four a = four[d];
            float x = near[d];
#pragma unroll
            for (int r = 0; r < kRows; r++) products[r][0] += a.at[r] * x;
        }
        return;
    }
    const float* far = near + kWarp * pitch;
    for (int d = 0; d < D; d++)
    {
        Four a = four[d];
        float x = near[d], y = far[d];
#pragma unroll
        for (int r = 0; r < kRows; r++) products[r][0] += a.at[r] * x, products[r][1] += a.at[r] * y;
    }
}

// sums[r][c] += sum over rows of weights[row][r] * tile[row][channel c of the lane]
__device__ __forceinline__ void add_rows(float (&sums)[kRows][kChunks], const Four* weights, const float* tile, int pitch, int rows, int D)
{
    for (int row = 0; row < rows; row++)
    {
        Four w = weights[row];
#pragma unroll
        for (int c = 0; c < kChunks; c++)
        {
            int d = c * kWarp + threadIdx.x;
            float x = d < D ? tile[row * pitch + d] : 0;
#pragma unroll
            for (int r = 0; r < kRows; r++) sums[r][c] += w.at[r] * x;
        }
    }
}

__device__ __forceinline__ void store_rows(
    real* to, int stride, const float (&sums)[kRows][kChunks], int first, int count, int D, const float (&factors)[kRows])
{
#pragma unroll
    for (int r = 0; r < kRows; r++)
    {
        if (first + r >= count) break;
#pragma unroll
        for (int c = 0; c < kChunks; c++)
        {
            int d = c * kWarp + threadIdx.x;
            if (d < D) store(to + (size_t)(first + r) * stride + d, sums[r][c] * factors[r]);
        }
    }
}

// Grid (B H, tiles of 4 warps queries). Shared memory, in floats: warps * 4 (D + tile), 2 tile (D | 1); tile is 32 or 64.
extern "C" __global__ void __launch_bounds__(256, kBlocks) attention_forward_tiled(
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
    int Tq, int Tk, int H, int G, int D, int context_stride, int q_stride, int k_stride, int v_stride, int tile,
    int causal, int bias_wide, int keep_wide, int site, float scale, float rate)
{
    extern __shared__ Four shared[];
    int b = blockIdx.x / H, h = blockIdx.x % H, g = h / (H / G);
    int lane = threadIdx.x, warp = threadIdx.y, warps = blockDim.y;
    int pitch = D | 1;
    Four* queries = shared + warp * (D + tile);
    Four* weights = queries + D;
    float* keys = (float*)(shared + warps * (D + tile));
    float* values = keys + tile * pitch;
    int block_first = blockIdx.y * warps * kRows, first = block_first + warp * kRows;
    ScoreRule rule = score_rule(bias, key_mask, key_lengths, dropout, keep_mask, b, h, H, Tq, Tk, causal, bias_wide, keep_wide, site, scale, rate);
    bool drops = rule.drops();

    stage_four(queries, q + (size_t)b * Tq * q_stride + h * D, q_stride, first, Tq, D);
    float highest[kRows], total[kRows] = {}, o[kRows][kChunks] = {};
#pragma unroll
    for (int r = 0; r < kRows; r++) highest[r] = -infinity();

    int end = rule.length;
    if (causal && block_first + warps * kRows + Tk - Tq < end) end = block_first + warps * kRows + Tk - Tq; // no query of the block sees further
    for (int t0 = 0; t0 < end; t0 += tile)
    {
        int rows = Tk - t0 < tile ? Tk - t0 : tile;
        __syncthreads();
        stage_rows(keys, pitch, k + ((size_t)b * Tk + t0) * k_stride + g * D, k_stride, rows, D);
        stage_rows(values, pitch, v + ((size_t)b * Tk + t0) * v_stride + g * D, v_stride, rows, D);
        for (int row = rows + warp; row < tile; row += warps)
        {
            for (int d = lane; d < D; d += kWarp) keys[row * pitch + d] = 0; // lanes beyond the last key multiply something
        }
        __syncthreads();

        if (drops) for_own<kRows>(rows, [&](int r, int t) { if (first + r < Tq) weights[t].at[r] = rule.keep(first + r, t0 + t); });
        float s[kRows][2] = {};
        dot_rows(s, queries, keys, pitch, tile, D);
#pragma unroll
        for (int r = 0; r < kRows; r++)
        {
            int i = first + r;
            float top = highest[r];
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                int t = lane + half * kWarp;
                s[r][half] = i < Tq && t < rows ? rule.score(s[r][half], i, t0 + t) : -infinity();
                top = fmaxf(top, s[r][half]);
            }
            top = warp_max(top);
            bool blind = top == -infinity();
            float factor = blind ? 1 : expf(highest[r] - top), added = 0;
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                int t = lane + half * kWarp;
                float e = blind ? 0 : expf(s[r][half] - top);
                added += e;
                if (t < rows) weights[t].at[r] = e * (drops && i < Tq ? weights[t].at[r] : 1);
            }
            total[r] = total[r] * factor + warp_sum(added);
            highest[r] = top;
#pragma unroll
            for (int c = 0; c < kChunks; c++) o[r][c] *= factor;
        }
        __syncwarp();
        add_rows(o, weights, values, pitch, rows, D);
    }

    float inverse[kRows];
#pragma unroll
    for (int r = 0; r < kRows; r++)
    {
        bool blind = total[r] == 0;
        inverse[r] = blind ? 0 : 1 / total[r];
        if (statistics && lane == 0 && first + r < Tq) save_statistics(statistics, rule.row + first + r, blind ? 0 : highest[r], inverse[r]);
    }
    store_rows(context + (size_t)b * Tq * context_stride + h * D, context_stride, o, first, Tq, D, inverse);
}

// delta = dcontext . context of every query and head; a warp each.
extern "C" __global__ void __launch_bounds__(256) attention_backward_tiled_delta(
    float* __restrict__ delta,          // (B, H, Tq)
    const real* __restrict__ dcontext,  // (B, Tq, H D)
    const real* __restrict__ context,   // (B, Tq, H D)
    int rows, int Tq, int H, int D, int dcontext_stride, int context_stride)
{
    int row = blockIdx.x * blockDim.y + threadIdx.y; // of (B, Tq, H)
    if (row >= rows) return;                         // whole warps leave together
    int h = row % H, token = row / H;
    float sum = 0;
    for (int d = threadIdx.x; d < D; d += kWarp)
    {
        sum += load(dcontext + (size_t)token * dcontext_stride + h * D + d) * load(context + (size_t)token * context_stride + h * D + d);
    }
    sum = warp_sum(sum);
    if (threadIdx.x == 0) delta[((size_t)(token / Tq) * H + h) * Tq + token % Tq] = sum;
}

// Grid (sequences H, tiles of 4 warps queries). Shared memory, in floats: warps * 4 (2 D + tile), 2 tile (D | 1).
extern "C" __global__ void __launch_bounds__(256, kBlocks) attention_backward_tiled_queries(
    real* __restrict__ dq,              // (B, Tq, H D) or null
    float* __restrict__ dscores,        // (sequences of this launch, H, Tq, Tk) or null: for the gradient of the bias
    const real* __restrict__ dcontext,  // (B, Tq, H D)
    const float* __restrict__ statistics, // (B, H, Tq, 2)
    const float* __restrict__ delta,    // (B, H, Tq)
    const real* __restrict__ q,         // (B, Tq, H D)
    const real* __restrict__ k,         // (B, Tk, G D)
    const real* __restrict__ v,         // (B, Tk, G D)
    const void* __restrict__ bias,      // (H, Tq, Tk) or null
    const int* __restrict__ key_mask,   // (B, Tk) or null
    const int* __restrict__ key_lengths, // (B) or null
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, Tq, Tk) factors or null
    int first_sequence, int Tq, int Tk, int H, int G, int D,
    int dq_stride, int dcontext_stride, int q_stride, int k_stride, int v_stride, int tile,
    int causal, int bias_wide, int keep_wide, int site, float scale, float rate)
{
    extern __shared__ Four shared[];
    int b = first_sequence + blockIdx.x / H, h = blockIdx.x % H, g = h / (H / G);
    int lane = threadIdx.x, warp = threadIdx.y, warps = blockDim.y;
    int pitch = D | 1;
    Four* queries = shared + warp * (2 * D + tile);
    Four* douts = queries + D;
    Four* gradients = douts + D;
    float* keys = (float*)(shared + warps * (2 * D + tile));
    float* values = keys + tile * pitch;
    int first = (blockIdx.y * warps + warp) * kRows;
    ScoreRule rule = score_rule(bias, key_mask, key_lengths, dropout, keep_mask, b, h, H, Tq, Tk, causal, bias_wide, keep_wide, site, scale, rate);
    bool drops = rule.drops();

    stage_four(queries, q + (size_t)b * Tq * q_stride + h * D, q_stride, first, Tq, D);
    stage_four(douts, dcontext + (size_t)b * Tq * dcontext_stride + h * D, dcontext_stride, first, Tq, D);
    float sums[kRows][kChunks] = {}, row_delta[kRows], factors[kRows];
#pragma unroll
    for (int r = 0; r < kRows; r++)
    {
        row_delta[r] = first + r < Tq ? delta[rule.row + first + r] : 0;
        factors[r] = scale;
    }

    for (int t0 = 0; t0 < Tk; t0 += tile)
    {
        int rows = Tk - t0 < tile ? Tk - t0 : tile;
        __syncthreads();
        stage_rows(keys, pitch, k + ((size_t)b * Tk + t0) * k_stride + g * D, k_stride, rows, D);
        stage_rows(values, pitch, v + ((size_t)b * Tk + t0) * v_stride + g * D, v_stride, rows, D);
        for (int row = rows + warp; row < tile; row += warps)
        {
            for (int d = lane; d < D; d += kWarp) keys[row * pitch + d] = values[row * pitch + d] = 0;
        }
        __syncthreads();

        if (drops) for_own<kRows>(rows, [&](int r, int t) { if (first + r < Tq) gradients[t].at[r] = rule.keep(first + r, t0 + t); });
        float s[kRows][2] = {}, dp[kRows][2] = {};
        dot_rows(s, queries, keys, pitch, tile, D);
        dot_rows(dp, douts, values, pitch, tile, D);
#pragma unroll
        for (int r = 0; r < kRows; r++)
        {
            int i = first + r;
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                int t = lane + half * kWarp;
                if (t >= rows) continue;
                float ds = 0;
                if (i < Tq)
                {
                    float p = rule.probability(s[r][half], i, t0 + t, statistics);
                    float f = drops ? gradients[t].at[r] : 1;
                    ds = p * (f * dp[r][half] - row_delta[r]);
                    if (dscores) dscores[((size_t)blockIdx.x * Tq + i) * Tk + t0 + t] = ds;
                }
                gradients[t].at[r] = ds;
            }
        }
        __syncwarp();
        add_rows(sums, gradients, keys, pitch, rows, D);
    }
    if (dq) store_rows(dq + (size_t)b * Tq * dq_stride + h * D, dq_stride, sums, first, Tq, D, factors);
}

// Grid (B G, tiles of 4 warps keys). Shared memory, in floats: warps * 8 (D + tile), 2 tile (D | 1).
extern "C" __global__ void __launch_bounds__(256) attention_backward_tiled_keys(
    real* __restrict__ dk,              // (B, Tk, G D) or null
    real* __restrict__ dv,              // (B, Tk, G D) or null
    const real* __restrict__ dcontext,  // (B, Tq, H D)
    const float* __restrict__ statistics, // (B, H, Tq, 2)
    const float* __restrict__ delta,    // (B, H, Tq)
    const real* __restrict__ q,         // (B, Tq, H D)
    const real* __restrict__ k,         // (B, Tk, G D)
    const real* __restrict__ v,         // (B, Tk, G D)
    const void* __restrict__ bias,      // (H, Tq, Tk) or null
    const int* __restrict__ key_mask,   // (B, Tk) or null
    const int* __restrict__ key_lengths, // (B) or null
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, Tq, Tk) factors or null
    int Tq, int Tk, int H, int G, int D,
    int dk_stride, int dv_stride, int dcontext_stride, int q_stride, int k_stride, int v_stride, int tile,
    int causal, int bias_wide, int keep_wide, int site, float scale, float rate)
{
    extern __shared__ Four shared[];
    int b = blockIdx.x / G, g = blockIdx.x % G, group = H / G;
    int lane = threadIdx.x, warp = threadIdx.y, warps = blockDim.y;
    int pitch = D | 1;
    Four* keys = shared + warp * (2 * D + 2 * tile);
    Four* values = keys + D;
    Four* weights = values + D;
    Four* gradients = weights + tile;
    float* queries = (float*)(shared + warps * (2 * D + 2 * tile));
    float* douts = queries + tile * pitch;
    int block_first = blockIdx.y * warps * kRows, first = block_first + warp * kRows;

    stage_four(keys, k + (size_t)b * Tk * k_stride + g * D, k_stride, first, Tk, D);
    stage_four(values, v + (size_t)b * Tk * v_stride + g * D, v_stride, first, Tk, D);
    float key_sums[kRows][kChunks] = {}, value_sums[kRows][kChunks] = {};
    int begin = causal && block_first - (Tk - Tq) > 0 ? (block_first - (Tk - Tq)) / tile * tile : 0; // earlier queries see none of these keys
    for (int h = g * group; h < (g + 1) * group; h++)
    {
        ScoreRule rule = score_rule(bias, key_mask, key_lengths, dropout, keep_mask, b, h, H, Tq, Tk, causal, bias_wide, keep_wide, site, scale, rate);
        bool drops = rule.drops();
        for (int t0 = begin; t0 < Tq; t0 += tile)
        {
            int rows = Tq - t0 < tile ? Tq - t0 : tile;
            __syncthreads();
            stage_rows(queries, pitch, q + ((size_t)b * Tq + t0) * q_stride + h * D, q_stride, rows, D);
            stage_rows(douts, pitch, dcontext + ((size_t)b * Tq + t0) * dcontext_stride + h * D, dcontext_stride, rows, D);
            for (int row = rows + warp; row < tile; row += warps)
            {
                for (int d = lane; d < D; d += kWarp) queries[row * pitch + d] = douts[row * pitch + d] = 0;
            }
            __syncthreads();

            if (drops) for_own<kRows>(rows, [&](int r, int t) { if (first + r < Tk) weights[t].at[r] = rule.keep(t0 + t, first + r); });
            float s[kRows][2] = {}, dp[kRows][2] = {};
            dot_rows(s, keys, queries, pitch, tile, D);
            dot_rows(dp, values, douts, pitch, tile, D);
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                int t = lane + half * kWarp, i = t0 + t;
                if (t >= rows) continue;
                float row_delta = delta[rule.row + i];
#pragma unroll
                for (int r = 0; r < kRows; r++)
                {
                    float w = 0, ds = 0;
                    if (first + r < Tk)
                    {
                        float p = rule.probability(s[r][half], i, first + r, statistics);
                        float f = drops ? weights[t].at[r] : 1;
                        w = f * p;
                        ds = p * (f * dp[r][half] - row_delta);
                    }
                    weights[t].at[r] = w;
                    gradients[t].at[r] = ds;
                }
            }
            __syncwarp();
            add_rows(key_sums, gradients, queries, pitch, rows, D);
            add_rows(value_sums, weights, douts, pitch, rows, D);
        }
    }
    float scales[kRows] = {scale, scale, scale, scale}, ones[kRows] = {1, 1, 1, 1};
    if (dk) store_rows(dk + (size_t)b * Tk * dk_stride + g * D, dk_stride, key_sums, first, Tk, D, scales);
    if (dv) store_rows(dv + (size_t)b * Tk * dv_stride + g * D, dv_stride, value_sums, first, Tk, D, ones);
}
