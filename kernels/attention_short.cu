// attention_short.cu: attention over whole short sequences (Tq, Tk <= 64): one block a head, everything of the head in shared memory.
//
//     s_ij = scale q_i . k_j + bias_ij        minus infinity where key j is hidden from query i
//     p_i  = softmax(s_i)                     all keys are at hand: one maximum, one sum, no running rescale
//     o_i  = sum_j f_ij p_ij v_j              f dropout factors, 1 without dropout
//
// Backward, with w = f p and dp_ij = f_ij do_i . v_j:
//     ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij)
//     dq_i = scale sum_j ds_ij k_j      dk_j = scale sum_i ds_ij q_i      dv_j = sum_i w_ij do_i      dbias_ij += ds_ij
//
// Saved for backward: two floats a row, max_i and 1 / sum_i; 0 and 0 for a query that sees no key (its o is 0). The probabilities are made
// again from them: at 17 keys that is 8 bytes a row in place of 68, and this file or attention_tiled.cu can read it. Both numbers, not
// max + log(sum), which would round a maximum of 10^4 to 10^-3.
// For f32; in 16-bit storage the tensor cores do it (attention_mma.cu, attention_backward_mma.cu). dbias is attention_bias.cu's.
// Rows of q, k, v and of all gradients may be strided. Heads h of queries read key head h / (H / G).
// Cost at T rows: q, k, v are read and o written once, 4 T D elements a head, which is the floor; 4 T T D FLOPs. Backward reads do as well and
// writes three gradients, 7 T D elements; 10 T T D FLOPs.

#include "common/prelude.cuh"
#include "common/attention.cuh"

constexpr int kRows = 4; // rows that a warp works on together: what it reads of the other operand serves all of them

// One block a (sequence, head); a warp takes four queries at a time, lanes are first keys (scores), then channels (the sum over keys).
// Shared memory, in floats: warps * 4 (D + Tk), 2 Tk (D | 1). The odd pitch of keys and values spreads a column over all banks.
extern "C" __global__ void __launch_bounds__(256, 3) attention_forward_short(
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
    int causal, int bias_wide, int keep_wide, int site, float scale, float rate)
{
    extern __shared__ Four shared[];
    int b = blockIdx.x / H, h = blockIdx.x % H, g = h / (H / G);
    int lane = threadIdx.x, warp = threadIdx.y, warps = blockDim.y;
    int pitch = D | 1;
    Four* queries = shared + warp * (D + Tk); // (D) four queries, transposed
    Four* weights = queries + D;              // (Tk) their probabilities, transposed
    float* keys = (float*)(shared + warps * (D + Tk));
    float* values = keys + Tk * pitch;

    stage_rows(keys, pitch, k + (size_t)b * Tk * k_stride + g * D, k_stride, Tk, D);
    stage_rows(values, pitch, v + (size_t)b * Tk * v_stride + g * D, v_stride, Tk, D);
    __syncthreads();

    ScoreRule rule = score_rule(bias, key_mask, key_lengths, dropout, keep_mask, b, h, H, Tq, Tk, causal, bias_wide, keep_wide, site, scale, rate);
    bool drops = rule.drops();
    int halves = Tk > kWarp ? 2 : 1;
    const float* near = keys + (lane < Tk ? lane : 0) * pitch; // lanes beyond the keys compute what nobody reads
    const float* far = keys + (lane + kWarp < Tk ? lane + kWarp : 0) * pitch;
    for (int first = warp * kRows; first < Tq; first += warps * kRows)
    {
        for (int r = 0; r < kRows; r++)
        {
            const real* row = q + ((size_t)b * Tq + first + r) * q_stride + h * D;
            for (int d = lane; d < D; d += kWarp) queries[d].at[r] = first + r < Tq ? load(row + d) : 0;
        }
        if (drops) for_own<kRows>(Tk, [&](int r, int j) { if (first + r < Tq) weights[j].at[r] = rule.keep(first + r, j); });
        __syncwarp();

        float s[kRows][2] = {};
        if (halves == 1)
        {
            for (int d = 0; d < D; d++)
            {
                Four a = queries[d];
                float x = near[d];
#pragma unroll
                for (int r = 0; r < kRows; r++) s[r][0] += a.at[r] * x;
            }
        }
        else
        {
            for (int d = 0; d < D; d++)
            {
                Four a = queries[d];
                float x = near[d], y = far[d];
#pragma unroll
                for (int r = 0; r < kRows; r++) s[r][0] += a.at[r] * x, s[r][1] += a.at[r] * y;
            }
        }

#pragma unroll
        for (int r = 0; r < kRows; r++)
        {
            int i = first + r;
            float highest = -infinity(), sum = 0;
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                int j = lane + half * kWarp;
                s[r][half] = i < Tq && j < Tk ? rule.score(s[r][half], i, j) : -infinity();
                highest = fmaxf(highest, s[r][half]);
            }
            highest = warp_max(highest);
            bool blind = highest == -infinity();
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                s[r][half] = blind ? 0 : expf(s[r][half] - highest);
                sum += s[r][half];
            }
            sum = warp_sum(sum);
            float inverse = blind ? 0 : 1 / sum;
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                int j = lane + half * kWarp;
                if (j < Tk) weights[j].at[r] = s[r][half] * inverse * (drops && i < Tq ? weights[j].at[r] : 1);
            }
            if (statistics && lane == 0 && i < Tq) save_statistics(statistics, rule.row + i, blind ? 0 : highest, inverse);
        }
        __syncwarp();

        for (int d = lane; d < D; d += kWarp)
        {
            float o[kRows] = {};
            for (int j = 0; j < Tk; j++)
            {
                Four w = weights[j];
                float x = values[j * pitch + d];
#pragma unroll
                for (int r = 0; r < kRows; r++) o[r] += w.at[r] * x;
            }
#pragma unroll
            for (int r = 0; r < kRows; r++)
            {
                if (first + r < Tq) store(context + ((size_t)b * Tq + first + r) * context_stride + h * D + d, o[r]);
            }
        }
        __syncwarp(); // the next four queries overwrite what the slowest lane still reads
    }
}

// One block a (sequence, head), for H = G. Three phases with a barrier between them: scores and their gradients (lanes are keys), then
// dq (lanes are channels), dk and dv (lanes are channels).
// Shared memory, in floats: (2 Tq + 2 Tk) (D | 1) + 2 Tq (Tk | 1).
extern "C" __global__ void __launch_bounds__(256, 2) attention_backward_short(
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
    int causal, int bias_wide, int keep_wide, int site, float scale, float rate)
{
    extern __shared__ Four shared[];
    int b = first_sequence + blockIdx.x / H, h = blockIdx.x % H;
    int lane = threadIdx.x, warp = threadIdx.y, warps = blockDim.y;
    int pitch = D | 1, row_pitch = Tk | 1;
    float* queries = (float*)shared;
    float* douts = queries + Tq * pitch;
    float* keys = douts + Tq * pitch;
    float* values = keys + Tk * pitch;
    float* weights = values + Tk * pitch;     // (Tq, Tk) w = f p
    float* gradients = weights + Tq * row_pitch; // (Tq, Tk) ds

    stage_rows(queries, pitch, q + (size_t)b * Tq * q_stride + h * D, q_stride, Tq, D);
    stage_rows(douts, pitch, dcontext + (size_t)b * Tq * dcontext_stride + h * D, dcontext_stride, Tq, D);
    stage_rows(keys, pitch, k + (size_t)b * Tk * k_stride + h * D, k_stride, Tk, D);
    stage_rows(values, pitch, v + (size_t)b * Tk * v_stride + h * D, v_stride, Tk, D);
    __syncthreads();

    ScoreRule rule = score_rule(bias, key_mask, key_lengths, dropout, keep_mask, b, h, H, Tq, Tk, causal, bias_wide, keep_wide, site, scale, rate);
    bool drops = rule.drops();
    for (int first = warp * kRows; first < Tq; first += warps * kRows)
    {
        int row[kRows];
#pragma unroll
        for (int r = 0; r < kRows; r++) row[r] = (first + r < Tq ? first + r : first) * pitch;
        if (drops) for_own<kRows>(Tk, [&](int r, int j) { if (first + r < Tq) weights[(first + r) * row_pitch + j] = rule.keep(first + r, j); });
        float p[kRows][2] = {}, dp[kRows][2] = {};
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            int j = lane + half * kWarp;
            if (half * kWarp >= Tk) break;
            int place = (j < Tk ? j : 0) * pitch;
            for (int d = 0; d < D; d++)
            {
                float x = keys[place + d], y = values[place + d];
#pragma unroll
                for (int r = 0; r < kRows; r++) p[r][half] += queries[row[r] + d] * x, dp[r][half] += douts[row[r] + d] * y;
            }
        }

#pragma unroll
        for (int r = 0; r < kRows; r++)
        {
            int i = first + r;
            float w[2], delta = 0;
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                int j = lane + half * kWarp;
                bool real_pair = i < Tq && j < Tk;
                float f = real_pair && drops ? weights[i * row_pitch + j] : 1;
                p[r][half] = real_pair ? rule.probability(p[r][half], i, j, statistics) : 0;
                w[half] = f * p[r][half];
                dp[r][half] *= f;
                delta += p[r][half] * dp[r][half];
            }
            delta = warp_sum(delta);
#pragma unroll
            for (int half = 0; half < 2; half++)
            {
                int j = lane + half * kWarp;
                if (i >= Tq || j >= Tk) continue;
                float ds = p[r][half] * (dp[r][half] - delta);
                weights[i * row_pitch + j] = w[half];
                gradients[i * row_pitch + j] = ds;
                if (dscores) dscores[((size_t)blockIdx.x * Tq + i) * Tk + j] = ds;
            }
        }
    }
    __syncthreads();

    for (int first = warp * kRows; dq && first < Tq; first += warps * kRows)
    {
        for (int d = lane; d < D; d += kWarp)
        {
            float sum[kRows] = {};
            for (int j = 0; j < Tk; j++)
            {
                float x = keys[j * pitch + d];
#pragma unroll
                for (int r = 0; r < kRows; r++) sum[r] += gradients[(first + r < Tq ? first + r : first) * row_pitch + j] * x;
            }
#pragma unroll
            for (int r = 0; r < kRows; r++)
            {
                if (first + r < Tq) store(dq + ((size_t)b * Tq + first + r) * dq_stride + h * D + d, scale * sum[r]);
            }
        }
    }

    for (int first = warp * kRows; first < Tk; first += warps * kRows)
    {
        for (int d = lane; d < D; d += kWarp)
        {
            float key_sum[kRows] = {}, value_sum[kRows] = {};
            for (int i = 0; i < Tq; i++)
            {
                float x = queries[i * pitch + d], y = douts[i * pitch + d];
#pragma unroll
                for (int r = 0; r < kRows; r++)
                {
                    int j = first + r < Tk ? first + r : first;
                    key_sum[r] += gradients[i * row_pitch + j] * x;
                    value_sum[r] += weights[i * row_pitch + j] * y;
                }
            }
#pragma unroll
            for (int r = 0; r < kRows; r++)
            {
                size_t row = (size_t)b * Tk + first + r;
                if (dk && first + r < Tk) store(dk + row * dk_stride + h * D + d, scale * key_sum[r]);
                if (dv && first + r < Tk) store(dv + row * dv_stride + h * D + d, value_sum[r]);
            }
        }
    }
}
