// tokens.cu: joining, heading and averaging the tokens of a sequence.
//
//     insert prompt:   y = concat(prompt + types[1], text + types[0])    (B, P + T, C); types may be null
//     vision tokens:   y = concat(class token, patches) + positions      (B, 1 + n, C)
//     mean:            y = mean over all T tokens of x                   (B, C)
//
// Backward: every token's gradient is a row of dy, copied or added to where it came from; dtypes (+=) sums rows of dy over the batch; the
// mean gives dy / T to every token. Sums are in float and in a fixed order: no atomics.
//
// A sequence may be `real` or, in a pre-norm model's residual stream, float: an argument says which (see common/mixed.cuh).
// Cost: each element is read and written once, which is the floor.

#include "common/columns.cuh"
#include "common/mixed.cuh"

// One block a row of y; its threads share the columns.
extern "C" __global__ void insert_prompt_forward(
    void* __restrict__ y,            // (B, P + T, C), float where y_float
    const void* __restrict__ prompt, // (B, P, C), float where prompt_float
    const void* __restrict__ text,   // (B, T, C), float where text_float
    const real* __restrict__ types,  // (2, C) or null
    int y_float, int prompt_float, int text_float, long y_stride, long prompt_stride, long text_stride, int P, int T, int C)
{
    int row = blockIdx.x, b = row / (P + T), t = row % (P + T);
    bool is_prompt = t < P;
    const void* x = is_prompt ? prompt : text;
    int x_float = is_prompt ? prompt_float : text_float;
    size_t from = is_prompt ? (b * (size_t)P + t) * prompt_stride : (b * (size_t)T + t - P) * text_stride;
    for (int c = threadIdx.x; c < C; c += blockDim.x)
    {
        float v = load_mixed(x, from + c, x_float);
        if (types) v += load(types + (is_prompt ? C : 0) + c);
        store_mixed(y, row * (size_t)y_stride + c, y_float, v);
    }
}

// One block a row of dy.
extern "C" __global__ void insert_prompt_backward(
    void* __restrict__ dprompt,  // (B, P, C)  =, or null
    void* __restrict__ dtext,    // (B, T, C)  = or, with accumulate_text, +=; or null
    const void* __restrict__ dy, // (B, P + T, C)
    int dprompt_float, int dtext_float, int dy_float, long dprompt_stride, long dtext_stride, long dy_stride, int P, int T, int C, int accumulate_text)
{
    int row = blockIdx.x, b = row / (P + T), t = row % (P + T);
    bool is_prompt = t < P;
    void* dx = is_prompt ? dprompt : dtext;
    if (!dx) return; // the whole block leaves
    int dx_float = is_prompt ? dprompt_float : dtext_float;
    size_t to = is_prompt ? (b * (size_t)P + t) * dprompt_stride : (b * (size_t)T + t - P) * dtext_stride;
    for (int c = threadIdx.x; c < C; c += blockDim.x)
    {
        float v = load_mixed(dy, row * (size_t)dy_stride + c, dy_float);
        if (!is_prompt && accumulate_text) v += load_mixed(dx, to + c, dx_float);
        store_mixed(dx, to + c, dx_float, v);
    }
}

// One block owns 32 columns (columns.cuh).
extern "C" __global__ void insert_prompt_backward_types(
    float* __restrict__ dtypes,  // (2, C)  +=
    const void* __restrict__ dy, // (B, P + T, C)
    int dy_float, long dy_stride, int B, int P, int T, int C)
{
    __shared__ float part[2 * kWarp * kWarp];
    int c = blockIdx.x * kWarp + threadIdx.x;
    float sums[2] = {}; // of text and prompt
    for (int row = threadIdx.y; row < B * (P + T) && c < C; row += blockDim.y)
    {
        float v = load_mixed(dy, row * (size_t)dy_stride + c, dy_float);
        if (row % (P + T) < P) sums[1] += v;
        else sums[0] += v;
    }
    sum_over_warps(sums, part);
    if (threadIdx.y == 0 && c < C) dtypes[c] += sums[0], dtypes[C + c] += sums[1];
}

// One block a row of y.
extern "C" __global__ void vision_tokens_forward(
    void* __restrict__ y,               // (B, 1 + n, C), float where y_float
    const real* __restrict__ patches,   // (B, n, C)
    const real* __restrict__ class_row, // (C)
    const real* __restrict__ positions, // (1 + n, C)
    int y_float, long y_stride, long patches_stride, int n, int C)
{
    int row = blockIdx.x, b = row / (1 + n), t = row % (1 + n);
    const real* x = t == 0 ? class_row : patches + (b * (size_t)n + t - 1) * patches_stride;
    for (int c = threadIdx.x; c < C; c += blockDim.x)
    {
        store_mixed(y, row * (size_t)y_stride + c, y_float, load(x + c) + load(positions + t * (size_t)C + c));
    }
}

// One thread a column of a sequence: neighbouring threads read neighbouring columns, and each adds its T tokens in order.
extern "C" __global__ void mean_tokens_forward(
    void* __restrict__ y,       // (B, C)
    const void* __restrict__ x, // (B, T, C)
    int y_float, int x_float, long y_stride, long x_stride, int T, int C)
{
    int b = blockIdx.y, c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    float sum = 0;
    for (int t = 0; t < T; t++) sum += load_mixed(x, (b * (size_t)T + t) * x_stride + c, x_float);
    store_mixed(y, b * (size_t)y_stride + c, y_float, sum / T);
}

extern "C" __global__ void mean_tokens_backward(
    void* __restrict__ dx,       // (B, T, C)  = or, with accumulate, +=
    const void* __restrict__ dy, // (B, C)
    int dx_float, int dy_float, long dx_stride, long dy_stride, int T, int C, int accumulate)
{
    int b = blockIdx.y, c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    float v = load_mixed(dy, b * (size_t)dy_stride + c, dy_float) / T;
    for (int t = 0; t < T; t++)
    {
        size_t at = (b * (size_t)T + t) * dx_stride + c;
        store_mixed(dx, at, dx_float, accumulate ? load_mixed(dx, at, dx_float) + v : v);
    }
}
