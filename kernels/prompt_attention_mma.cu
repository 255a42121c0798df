// prompt_attention_mma.cu: prompt_attention.cu on the tensor cores, for visual tokens of 16 bits, of up to 1,024 channels and beginning at multiples
// of 16 bytes. Formulas, dropout and what is saved are those of prompt_attention.cu.
//
// A block owns up to 16 rows of a sequence, mma's M. Its tokens pass through a ring of tiles of 16 (cp.async); a tile is read from global memory once
// and from shared memory twice. In both products a warp takes 16 of every 128 channels:
//
//     products (16 rows, 16 tokens) = rows x^T       rows are u or dz, in registers; the warps' parts meet in shared memory
//     sums (16 rows, V) += weights x                 in registers; weights are exp(s - maximum) or ds
//
// What was summed is shrunk where the running maximum rises by more than kLag, which it seldom does after the first tiles: until then weights are
// exp(s - an older maximum), at most exp(kLag), and no bit of the result is lost.
//
// Rows and weights are float and mma takes 16 bits: each goes in twice, as the nearest 16-bit number and as that of what is left. The tokens are
// exact, so products have 16 (bf16) or 22 (f16) good bits of the row's largest element in place of 8 or 11. The second multiplication
// costs no time where bytes decide. Rows, and in backward the weights too, are first divided by a power of two that brings the largest into
// [1, 2): f16 neither overflows nor loses what is left.
//
// -D tile_channels: 256, 768 or 1024, the most that V may be; channels beyond V are zeros.
// Cost for B sequences: B N V elements of traffic, 4 B P H N V FLOPs, twice that and 16 rows of them for the tensor cores.

#include "common/mma_tile.cuh"
#include "common/philox.cuh"
#include "common/prompt.cuh"
#include "common/typed.cuh"
#include "common/unit.cuh"

#ifndef tile_channels
#define tile_channels 768
#endif

constexpr int kRows = 16, kTokens = 16; // of a tile
constexpr int kThreads = kRows * kTokens, kWarps = kThreads / kWarp;
constexpr int kStrip = 16 * kWarps, kSteps = tile_channels / kStrip; // channels of a step: 16 a warp, one mma deep or two wide
constexpr int kChunks = tile_channels / 8;                           // of 16 bytes, of a token in shared memory
constexpr int kStages = tile_channels > 768 ? 2 : 3;
constexpr float kLag = 4;

// A piece of floats as mma takes it on the left, each number the sum of two.
struct Split
{
    unsigned high[4], low[4];
};

// pair(row, column) gives two neighbours; a lane asks for those that are its own.
template <typename Pair> __device__ __forceinline__ void split(Split& piece, int lane, Pair pair)
{
    const real* type = nullptr;
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        word_2 two = pair(lane / 4 + i % 2 * 8, lane % 4 * 2 + i / 2 * 8);
        float a = __uint_as_float(two.w[0]), b = __uint_as_float(two.w[1]), nearest[2];
        piece.high[i] = pack(a, b, type);
        unpack(nearest, piece.high[i], type);
        piece.low[i] = pack(a - nearest[0], b - nearest[1], type);
    }
}

// What is left of a float that goes in as two.
__device__ __forceinline__ float kept_of(float v)
{
    const real* type = nullptr;
    float high[2], low[2];
    unpack(high, pack(v, 0, type), type);
    unpack(low, pack(v - high[0], 0, type), type);
    return high[0] + low[0];
}

// Over the 16 threads of a row.
__device__ __forceinline__ float row_sum(float v)
{
    for (int offset = kTokens / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}
__device__ __forceinline__ float row_max(float v)
{
    for (int offset = kTokens / 2; offset > 0; offset /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
    return v;
}

// What a thread makes of its product: the token's weight in the row's sum, and the factor on what was summed before.
struct Weight
{
    float weight, shrink;
};

// sums += weights x over the block's tokens. Thread 16 r + t calls weigh(token, there, product) for row r and every 16th token from the t-th on.
// sums[2 step ..]: the warp's columns of a strip, as mma leaves them. factors: one a row, in shared memory; free again at the end.
template <typename Weigh> __device__ __forceinline__ void one_pass(
    float (&sums)[2 * kSteps][4], float* factors, const float* rows, Unit unit, const real* x, const Part& part, int V, int x_stride, Weigh weigh)
{
    extern __shared__ word_4 stages[];
    __shared__ float products[kWarps * kRows * kTokens], weights[kRows * kTokens];
    int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, r = threadIdx.x / kTokens, t = threadIdx.x % kTokens;
    int matrix_row = lane % 8, second = lane / 8 % 2, third = lane / 16; // which row of which of four matrices a lane points ldmatrix at

    if (t == 0) factors[r] = unit.inverse;
    __syncthreads();
    Split left[kSteps];
#pragma unroll
    for (int step = 0; step < kSteps; step++)
    {
        split(left[step], lane, [&](int row, int column) -> word_2
        {
            int c = step * kStrip + warp * 16 + column;
            if (row >= part.rows || c >= V) return {};
            word_2 two = *(const word_2*)(rows + (size_t)row * V + c);
            float factor = factors[row];
            return {__float_as_uint(__uint_as_float(two.w[0]) * factor), __float_as_uint(__uint_as_float(two.w[1]) * factor)};
        });
    }

    // The swizzle moves a chunk within eight: to the 16th chunk after it, and to the eighth token, addresses differ by constants.
    int fetched = 0, used = 0; // tokens
    auto fetch = [&](int stage)
    {
        word_4* to = stages + stage * kTokens * kChunks + swizzled<kChunks>(warp, lane);
#pragma unroll 1
        for (int token = 0; token < kTokens; token += kWarps)
        {
            bool exists = fetched + warp + token < part.tokens;
            const real* from = x + (size_t)(exists ? fetched + warp + token : 0) * x_stride + lane * 8;
#pragma unroll
            for (int chunk = 0; chunk < kChunks; chunk += kWarp)
            {
                cp_async_16(to + token * kChunks + chunk, from + chunk * 8, exists && (chunk + lane) * 8 < V ? 16 : 0);
            }
        }
        fetched += kTokens;
    };
    auto use = [&](int stage)
    {
        const word_4* tile = stages + stage * kTokens * kChunks;
        const word_4* across = tile + swizzled<kChunks>(third * 8 + matrix_row, warp * 2 + second); // tokens are columns
        float product[2][4] = {};
#pragma unroll
        for (int step = 0; step < kSteps; step++)
        {
            unsigned right[4];
            ldmatrix_x4(right, across + step * (kStrip / 8));
#pragma unroll
            for (int n = 0; n < 2; n++)
            {
                mma(product[n], left[step].low, right[2 * n], right[2 * n + 1], x);
                mma(product[n], left[step].high, right[2 * n], right[2 * n + 1], x);
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            const float* two = product[i / 2] + i % 2 * 2;
            float* to = products + (warp * kRows + lane / 4 + i % 2 * 8) * kTokens + lane % 4 * 2 + i / 2 * 8;
            *(word_2*)to = {__float_as_uint(two[0]), __float_as_uint(two[1])};
        }
        __syncthreads();

        float whole = 0;
#pragma unroll
        for (int w = 0; w < kWarps; w++) whole += products[w * kThreads + threadIdx.x];
        Weight mine = weigh(used + t, r < part.rows && used + t < part.tokens, whole * unit.value);
        weights[threadIdx.x] = mine.weight;
        if (t == 0) factors[r] = mine.shrink;
        used += kTokens;
        __syncthreads();

        Split weight;
        split(weight, lane, [&](int row, int column) { return *(const word_2*)(weights + row * kTokens + column); });
        float upper = factors[lane / 4], lower = factors[lane / 4 + 8];
        const word_4* along = tile + swizzled<kChunks>(second * 8 + matrix_row, warp * 2 + third); // tokens are the sum's terms
        if (__any_sync(0xffffffffu, upper != 1 || lower != 1))
        {
#pragma unroll
            for (int n = 0; n < 2 * kSteps; n++) sums[n][0] *= upper, sums[n][1] *= upper, sums[n][2] *= lower, sums[n][3] *= lower;
        }
#pragma unroll
        for (int step = 0; step < kSteps; step++)
        {
            unsigned right[4];
            ldmatrix_x4_trans(right, along + step * (kStrip / 8));
#pragma unroll
            for (int n = 0; n < 2; n++)
            {
                mma(sums[2 * step + n], weight.low, right[2 * n], right[2 * n + 1], x);
                mma(sums[2 * step + n], weight.high, right[2 * n], right[2 * n + 1], x);
            }
        }
    };
    pipeline<kStages>((part.tokens + kTokens - 1) / kTokens, fetch, use);
}

// The sums of the rows that there are, times the row's factor.
__device__ __forceinline__ void leave_sums(float* to, const float (&sums)[2 * kSteps][4], const float* factors, int rows, int V)
{
    int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int n = 0; n < 2 * kSteps; n++)
    {
        int c = n / 2 * kStrip + threadIdx.x / kWarp * 16 + n % 2 * 8 + lane % 4 * 2;
        if (c >= V) break;
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            int row = lane / 4 + half * 8;
            if (row >= rows) continue;
            float factor = factors[row];
            *(word_2*)(to + (size_t)row * V + c) = {__float_as_uint(sums[n][2 * half] * factor), __float_as_uint(sums[n][2 * half + 1] * factor)};
        }
    }
}

// Grid (groups of rows, B, splits). Shared memory: kStages * 16 * tile_channels * 2 bytes.
extern "C" __global__ void __launch_bounds__(kThreads, tile_channels > 768 ? 1 : 2) prompt_attention_forward_mma(
    float* __restrict__ p,              // (B, H, P, N) probabilities; scores where the tokens are split
    float* __restrict__ z,              // (B, P H, V); (splits, B, P H, V) not yet normalised where the tokens are split
    float* __restrict__ sum,            // (B, P H)
    float* __restrict__ parts,          // (splits, B, P H, 3) maximum, sum, sum of what is kept; null without splits
    const float* __restrict__ u,        // (B, P H, V)
    const real* __restrict__ x,         // (B, N, V)
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, P, N) factors of keep_type or null
    int P, int H, int N, int V, int x_stride, int rows, int split_tokens, int keep_type, int site, float scale, float rate)
{
    __shared__ float factors[kRows];
    int all = P * H, r = threadIdx.x / kTokens, t = threadIdx.x % kTokens;
    Part part = part_of(rows, all, N, split_tokens);
    size_t first_row = (size_t)part.b * all + part.row0, split_row = (size_t)blockIdx.z * gridDim.y * all + first_row;
    size_t place = r < part.rows ? place_of(part.b, part.row0 + r, P, H) * N + part.token0 : 0;
    const float* first = u + first_row * V;
    float largest = 0;
    for (int c = t; c < V && r < part.rows; c += kTokens) largest = fmaxf(largest, fabsf(first[(size_t)r * V + c]));

    float minus_infinity = -__uint_as_float(0x7f800000u), top = minus_infinity, total = 0, kept = 0, sums[2 * kSteps][4] = {};
    one_pass(sums, factors, first, unit_of(row_max(largest)), x + ((size_t)part.b * N + part.token0) * x_stride, part, V, x_stride,
        [&](int token, bool there, float product) -> Weight
    {
        float s = there ? product * scale : minus_infinity;
        if (there) p[place + token] = s;
        float old = top, highest = row_max(s);
        if (highest > old + kLag) top = highest;
        float e = there ? expf(s - top) : 0, w = e;
        if (there && keep_mask) w *= load_typed(keep_mask, place + token, keep_type);
        if (there && dropout) w *= keep_factor(dropout, site, place + token, rate);
        float shrink = r < part.rows ? expf(old - top) : 1;
        total = total * shrink + row_sum(e), kept = kept * shrink + row_sum(w);
        return {w, shrink};
    });

    bool whole = gridDim.z == 1;
    if (t == 0) factors[r] = whole ? 1 / total : 1;
    __syncthreads();
    leave_sums(z + (whole ? first_row : split_row) * V, sums, factors, part.rows, V);
    if (r >= part.rows) return;
    if (!(dropout || keep_mask)) kept = total;
    if (whole)
    {
        for (int n = t; n < N; n += kTokens) p[place + n] = expf(p[place + n] - top) / total; // its own scores
        if (t == 0) sum[first_row + r] = kept / total;
    }
    else if (t == 0)
    {
        float* line = parts + (split_row + r) * 3;
        line[0] = top, line[1] = total, line[2] = kept;
    }
}

// Grid and shared memory as forward.
extern "C" __global__ void __launch_bounds__(kThreads, tile_channels > 768 ? 1 : 2) prompt_attention_backward_mma(
    float* __restrict__ du,             // (splits, B, P H, V)
    float* __restrict__ dscores,        // (B, H, P, N) or null
    const float* __restrict__ dz,       // (B, P H, V)
    const float* __restrict__ z,        // (B, P H, V)
    const float* __restrict__ p,        // (B, H, P, N)
    const float* __restrict__ sum,      // (B, P H)
    const float* __restrict__ dkept,    // (B, P H) b_V,h . dcontext_r, the gradient of sum
    const real* __restrict__ x,         // (B, N, V)
    const int* __restrict__ dropout,    // (4) state of the stream or null
    const void* __restrict__ keep_mask, // (B, H, P, N) factors of keep_type or null
    int P, int H, int N, int V, int x_stride, int rows, int split_tokens, int keep_type, int site, float scale, float rate)
{
    __shared__ float factors[kRows];
    int all = P * H, r = threadIdx.x / kTokens, t = threadIdx.x % kTokens;
    Part part = part_of(rows, all, N, split_tokens);
    size_t first_row = (size_t)part.b * all + part.row0;
    size_t place = r < part.rows ? place_of(part.b, part.row0 + r, P, H) * N + part.token0 : 0;
    const float* first = dz + first_row * V;
    float largest = 0, delta = 0, dsum = 0;
    for (int c = t; c < V && r < part.rows; c += kTokens) largest = fmaxf(largest, fabsf(first[(size_t)r * V + c]));

    // delta is what the row's products with dz come to on average: of the dz that goes into them, or the difference of the two would be its rounding.
    Unit of_row = unit_of(row_max(largest));
    for (int c = t; c < V && r < part.rows; c += kTokens)
    {
        delta += kept_of(first[(size_t)r * V + c] * of_row.inverse) * of_row.value * z[(first_row + r) * V + c];
    }
    delta = row_sum(delta);
    if (r < part.rows) dsum = dkept[first_row + r], delta += dsum * sum[first_row + r];

    Unit unit = unit_of(0); // of the weights: the largest so far
    float sums[2 * kSteps][4] = {};
    one_pass(sums, factors, first, of_row, x + ((size_t)part.b * N + part.token0) * x_stride, part, V, x_stride,
        [&](int token, bool there, float product) -> Weight
    {
        float ds = 0;
        if (there)
        {
            float probability = p[place + token], w = probability;
            if (keep_mask) w *= load_typed(keep_mask, place + token, keep_type);
            if (dropout) w *= keep_factor(dropout, site, place + token, rate);
            ds = scale * (w * (product + dsum) - probability * delta);
            if (dscores) dscores[place + token] = ds;
        }
        Unit old = unit, needed = unit_of(row_max(fabsf(ds)));
        if (needed.value > old.value) unit = needed;
        return {ds * unit.inverse, old.value * unit.inverse};
    });
    if (t == 0) factors[r] = unit.value;
    __syncthreads();
    leave_sums(du + ((size_t)blockIdx.z * gridDim.y * all + first_row) * V, sums, factors, part.rows, V);
}
