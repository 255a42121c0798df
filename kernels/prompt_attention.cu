// prompt_attention.cu: cross-attention of P queries over N visual tokens that never makes keys and values: with one query a head, the
// query goes through the key projection (u, prompt_projection.cu) and the sum of tokens through the value projection, so all that is
// left is one pass over the features. A row is one head of one query, P H rows a sequence, row p H + h.
//
//     s_rn = scale u_r . x_n      p_r = softmax_n(s_r)      z_r = sum_n f_rn p_rn x_n      sum_r = sum_n f_rn p_rn
//
// f dropout factors. Backward, with w = f p, dz (B, P, H, V) and dsum_r = b_V,h . dcontext_r given by prompt_projection.cu:
//     delta_r = dz_r . z_r + dsum_r sum_r                       known before the tokens are read
//     ds_rn = scale (w_rn (dz_r . x_n + dsum_r) - p_rn delta_r)
//     du_r = sum_n ds_rn x_n                                    in the one pass
//     dx_n = sum_r w_rn dz_r + ds_rn u_r                        only where the features train: prompt_attention_tokens.cu
//
// The visual tokens x (B, N, V) have a type of their own (typed.cuh), whatever the activations are; everything else is float. Tokens and activations
// of 16 bits are prompt_attention_mma.cu's, as a rule; what is here runs in f32 and takes any number of channels.
// Saved: u, z (B, P, H, V), p (B, H, P, N), sum (B, P, H). x is read once by a block that holds all rows of a sequence
// (16 at most; more rows are more blocks, which read the same tokens from the second-level cache). Few sequences: the tokens are split
// over blocks, each with a running maximum of its own, and prompt_attention_join.cu joins the parts in their order.
//
// -D tile_rows: 4, 8, 12 or 16, the least that holds P H or, where that is more than 16, an equal share.
// Cost for B sequences: B N V elements of traffic, 4 B P H N V FLOPs.

#include "common/philox.cuh"
#include "common/prompt.cuh"
#include "common/reduce.cuh"
#include "common/typed.cuh"
#include "common/vector.cuh"

#ifndef tile_rows
#define tile_rows 12
#endif

constexpr int R = tile_rows; // rows of a block, P H or a share of it, rounded up to a multiple of four: their sums live in registers
constexpr int kRows = 16;    // the most that there may be
constexpr int kTokens = 16;  // tokens of a tile, at most
constexpr int kEach = 4;     // tokens of a warp, channels of a thread
constexpr int kThreads = 256, kWarps = kThreads / kWarp;

struct alignas(16) Four
{
    float at[4];
};

// Products of every row with every token of a tile. A warp takes four tokens and a share of the channels; products[share][token][row].
__device__ __forceinline__ void row_products(float* products, const float* rows, const float* tokens, int V, int tile)
{
    int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    int groups = tile / kEach, shares = kWarps / groups, first = warp % groups * kEach, share = warp / groups;
    float sum[kEach * R] = {};
    for (int c = share * kWarp + lane; c < V; c += shares * kWarp)
    {
        float x[kEach];
#pragma unroll
        for (int t = 0; t < kEach; t++) x[t] = tokens[(first + t) * V + c];
#pragma unroll
        for (int r = 0; r < R; r++)
        {
            float y = rows[r * V + c];
#pragma unroll
            for (int t = 0; t < kEach; t++) sum[t * R + r] += x[t] * y;
        }
    }
    warp_sum_scattered<kEach * R>(sum, lane);
#pragma unroll
    for (int i = 0; i < R / 4; i++)
    {
        int e = lane / 2 * (R / 4) + i;
        if (lane % 2 == 0) products[(share * tile + first + e / R) * kRows + e % R] = sum[i];
    }
}

// `tile` tokens of the batch from the first on into shared memory; zeros in place of the last tile's missing ones.
__device__ __forceinline__ void stage_tokens(float* to, const void* x, int x_type, int x_stride, size_t first, int V, int count, int tile)
{
    with_type(x, x_type, [&](auto* typed)
    {
        for (int t = threadIdx.x / kWarp; t < tile; t += kWarps)
        {
            auto* from = typed + (first + t) * x_stride;
            for (int c = threadIdx.x % kWarp; c < V; c += kWarp) to[t * V + c] = t < count ? load(from + c) : 0;
        }
    });
}

__device__ __forceinline__ void stage_rows(float* to, const float* from, int V, int rows)
{
    for (int e = threadIdx.x; e < R * V; e += kThreads) to[e] = e < rows * V ? from[e] : 0; // neighbours in memory: one run
}

// sums[r][k] += sum over the tile's tokens of weights[token][r] x[token][channel], k-th channel of the thread.
__device__ __forceinline__ void add_tokens(float (&sums)[R][kEach], const Four* weights, const float* tokens, int channel0, int V, int count)
{
    for (int t = 0; t < count; t++)
    {
        float x[kEach];
#pragma unroll
        for (int k = 0; k < kEach; k++)
        {
            int c = channel0 + threadIdx.x + k * kThreads;
            x[k] = c < V ? tokens[t * V + c] : 0;
        }
#pragma unroll
        for (int r = 0; r < R; r += 4)
        {
            Four w = weights[t * (kRows / 4) + r / 4];
#pragma unroll
            for (int i = 0; i < 4; i++)
            {
#pragma unroll
                for (int k = 0; k < kEach; k++) sums[r + i][k] += w.at[i] * x[k];
            }
        }
    }
}

// Grid (groups of rows, B, splits). Shared memory, in floats: (R + tile) V + 8 / (tile / 4) * tile * 16.
extern "C" __global__ void __launch_bounds__(kThreads) prompt_attention_forward(
    float* p,                           // (B, H, P, N) probabilities; scores where the tokens are split
    float* __restrict__ z,              // (B, P H, V); (splits, B, P H, V) not yet normalised where the tokens are split
    float* __restrict__ sum,            // (B, P H)
    float* __restrict__ parts,          // (splits, B, P H, 3) maximum, sum, sum of what is kept; null without splits
    const float* __restrict__ u,        // (B, P H, V)
    const void* __restrict__ x,         // (B, N, V) of x_type
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, P, N) factors of keep_type or null
    int P, int H, int N, int V, int x_type, int x_stride, int tile, int split_tokens, int keep_type, int site, float scale, float rate)
{
    extern __shared__ Four shared[];
    __shared__ Four weights[kTokens * kRows / 4];
    __shared__ float highest[kRows], total[kRows], kept[kRows], shrink[kRows];
    float* rows = (float*)shared;         // (R, V)
    float* tokens = rows + R * V;         // (tile, V)
    float* products = tokens + tile * V;  // (shares, tile, kRows)
    int all = P * H, shares = kWarps / (tile / kEach);
    Part part = part_of(R, all, N, split_tokens);
    size_t first_row = (size_t)part.b * all + part.row0;
    bool whole = gridDim.z == 1;
    float* to = z + (whole ? first_row : (size_t)blockIdx.z * gridDim.y * all + first_row) * V;
    stage_rows(rows, u + first_row * V, V, part.rows);

    // More channels than the threads hold sums for: the pass is repeated for the next ones.
    for (int channel0 = 0; channel0 < V; channel0 += kEach * kThreads)
    {
        float sums[R][kEach] = {};
        if (threadIdx.x < kRows) highest[threadIdx.x] = -__uint_as_float(0x7f800000u), total[threadIdx.x] = kept[threadIdx.x] = 0;
        for (int t0 = 0; t0 < part.tokens; t0 += tile)
        {
            int count = part.tokens - t0 < tile ? part.tokens - t0 : tile;
            stage_tokens(tokens, x, x_type, x_stride, (size_t)part.b * N + part.token0 + t0, V, count, tile);
            __syncthreads();
            row_products(products, rows, tokens, V, tile);
            __syncthreads();

            // Half a warp a row, lanes are tokens.
            int t = threadIdx.x % kTokens, r = threadIdx.x / kTokens;
            bool counts = t < count && r < part.rows;
            float s = -__uint_as_float(0x7f800000u);
            size_t place = counts ? place_of(part.b, part.row0 + r, P, H) * N + part.token0 + t0 + t : 0;
            if (counts)
            {
                s = 0;
                for (int share = 0; share < shares; share++) s += products[(share * tile + t) * kRows + r];
                s *= scale;
                p[place] = s;
            }
            float old = highest[r], top = s;
            for (int offset = kTokens / 2; offset > 0; offset /= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, offset));
            top = fmaxf(top, old);
            float e = counts ? expf(s - top) : 0, w = e;
            if (counts && keep_mask) w *= load_typed(keep_mask, place, keep_type);
            if (counts && dropout) w *= keep_factor(dropout, site, place, rate);
            if (t < tile) ((float*)weights)[t * kRows + r] = w;
            float added = e, added_kept = w;
            for (int offset = kTokens / 2; offset > 0; offset /= 2)
            {
                added += __shfl_xor_sync(0xffffffffu, added, offset);
                added_kept += __shfl_xor_sync(0xffffffffu, added_kept, offset);
            }
            __syncwarp();
            if (t == 0 && r < part.rows)
            {
                float factor = expf(old - top);
                shrink[r] = factor, highest[r] = top;
                total[r] = total[r] * factor + added, kept[r] = kept[r] * factor + added_kept;
            }
            __syncthreads();

#pragma unroll
            for (int row = 0; row < R; row++)
            {
                float factor = row < part.rows ? shrink[row] : 1;
#pragma unroll
                for (int k = 0; k < kEach; k++) sums[row][k] *= factor;
            }
            add_tokens(sums, weights, tokens, channel0, V, count);
            __syncthreads();
        }
#pragma unroll
        for (int row = 0; row < R; row++)
        {
            if (row >= part.rows) break;
            float inverse = whole ? 1 / total[row] : 1;
#pragma unroll
            for (int k = 0; k < kEach; k++)
            {
                int c = channel0 + threadIdx.x + k * kThreads;
                if (c < V) to[(size_t)row * V + c] = sums[row][k] * inverse;
            }
        }
        __syncthreads();
    }

    bool drops = dropout || keep_mask;
    if (whole)
    {
        for (int row = 0; row < part.rows; row++)
        {
            float* line = p + place_of(part.b, part.row0 + row, P, H) * N;
            for (int n = threadIdx.x; n < N; n += kThreads) line[n] = expf(line[n] - highest[row]) / total[row];
        }
        if (threadIdx.x < part.rows) sum[first_row + threadIdx.x] = drops ? kept[threadIdx.x] / total[threadIdx.x] : 1;
    }
    else if (threadIdx.x < part.rows)
    {
        float* line = parts + ((size_t)blockIdx.z * gridDim.y * all + first_row + threadIdx.x) * 3;
        line[0] = highest[threadIdx.x], line[1] = total[threadIdx.x], line[2] = drops ? kept[threadIdx.x] : total[threadIdx.x];
    }
}

// Grid and shared memory as forward.
extern "C" __global__ void __launch_bounds__(kThreads) prompt_attention_backward(
    float* __restrict__ du,             // (splits, B, P H, V)
    float* __restrict__ dscores,        // (B, H, P, N) or null
    const float* __restrict__ dz,       // (B, P H, V)
    const float* __restrict__ z,        // (B, P H, V)
    const float* __restrict__ p,        // (B, H, P, N)
    const float* __restrict__ sum,      // (B, P H)
    const float* __restrict__ dkept,    // (B, P H) b_V,h . dcontext_r, the gradient of sum
    const void* __restrict__ x,         // (B, N, V) of x_type
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, P, N) factors of keep_type or null
    int P, int H, int N, int V, int x_type, int x_stride, int tile, int split_tokens, int keep_type, int site, float scale, float rate)
{
    extern __shared__ Four shared[];
    __shared__ Four weights[kTokens * kRows / 4];
    __shared__ float dsum[kRows], delta[kRows];
    float* rows = (float*)shared;         // (R, V) dz
    float* tokens = rows + R * V;         // (tile, V)
    float* products = tokens + tile * V;  // (shares, tile, kRows)
    int all = P * H, shares = kWarps / (tile / kEach), lane = threadIdx.x % kWarp;
    Part part = part_of(R, all, N, split_tokens);
    size_t first_row = (size_t)part.b * all + part.row0;
    float* to = du + ((size_t)blockIdx.z * gridDim.y * all + first_row) * V;
    stage_rows(rows, dz + first_row * V, V, part.rows);
    __syncthreads();

    for (int r = threadIdx.x / kWarp; r < part.rows; r += kWarps)
    {
        float product = 0;
        for (int c = lane; c < V; c += kWarp) product += rows[r * V + c] * z[(first_row + r) * V + c];
        product = warp_sum(product);
        float a = dkept[first_row + r];
        if (lane == 0) dsum[r] = a, delta[r] = product + a * sum[first_row + r];
    }

    for (int channel0 = 0; channel0 < V; channel0 += kEach * kThreads)
    {
        float sums[R][kEach] = {};
        for (int t0 = 0; t0 < part.tokens; t0 += tile)
        {
            int count = part.tokens - t0 < tile ? part.tokens - t0 : tile;
            stage_tokens(tokens, x, x_type, x_stride, (size_t)part.b * N + part.token0 + t0, V, count, tile);
            __syncthreads();
            row_products(products, rows, tokens, V, tile);
            __syncthreads();

            int t = threadIdx.x % kTokens, r = threadIdx.x / kTokens;
            float ds = 0;
            if (t < count && r < part.rows)
            {
                size_t place = place_of(part.b, part.row0 + r, P, H) * N + part.token0 + t0 + t;
                float product = 0, probability = p[place], w = probability;
                for (int share = 0; share < shares; share++) product += products[(share * tile + t) * kRows + r];
                if (keep_mask) w *= load_typed(keep_mask, place, keep_type);
                if (dropout) w *= keep_factor(dropout, site, place, rate);
                ds = scale * (w * (product + dsum[r]) - probability * delta[r]);
                if (dscores && channel0 == 0) dscores[place] = ds;
            }
            if (t < tile) ((float*)weights)[t * kRows + r] = ds;
            __syncthreads();
            add_tokens(sums, weights, tokens, channel0, V, count);
            __syncthreads();
        }
#pragma unroll
        for (int row = 0; row < R; row++)
        {
            if (row >= part.rows) break;
#pragma unroll
            for (int k = 0; k < kEach; k++)
            {
                int c = channel0 + threadIdx.x + k * kThreads;
                if (c < V) to[(size_t)row * V + c] = sums[row][k];
            }
        }
    }
}
