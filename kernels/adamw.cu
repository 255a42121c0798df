// adamw.cu: one step of AdamW over all parameters at once (Loshchilov and Hutter 2019), everything in float.
//
//     g = gradient / loss_scale * min(1, max_norm / (norm + 1e-6))          max_norm 0: no clipping; norm: of gradient / loss_scale
//     m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2       t = updates of this tensor, this one included
//
//     the paper's code:   p -= rate sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps);   then p -= rate decay p
//     decoupled first:    p *= 1 - rate decay;   then p -= rate / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//
// A step is two launches: adamw_prepare works out each tensor's few numbers (in double: 1 - b^t cancels), adamw_update walks all elements.
// Rate, counts, norm, loss and scale are read from device memory, so a recorded step can be replayed. Where norm or loss is no finite
// number, nothing changes, the counts neither.
// Cost: 4 reads and 3 writes an element, 28 bytes, which is also the floor.

#include "common/vector.cuh"

struct Tensor
{
    float* value;
    const float* gradient;
    float* first;  // moment m
    float* second; // moment v
    long count;
    float rate_multiplier;
    float decay;
    int active; // 0: no gradient this step, the tensor is left alone
    int wide;   // every address and the count are multiples of four floats
};

// A run of elements that one block updates.
struct Piece
{
    long start;
    int tensor;
    int count;
};

// value = value * shrink - rate m / (sqrt(v) * root_scale + eps), then value -= late_decay * value
struct Step
{
    float rate, root_scale, shrink, late_decay, clip;
    int applies;
};

__device__ __forceinline__ bool is_finite(float v) { return fabsf(v) <= 3.402823466e38f; }

__device__ __forceinline__ double power(double base, int exponent)
{
    double result = 1;
    for (; exponent > 0; exponent >>= 1, base *= base)
    {
        if (exponent & 1) result *= base;
    }
    return result;
}

// One thread a tensor.
extern "C" __global__ void adamw_prepare(
    Step* __restrict__ steps,             // (n)
    int* __restrict__ counts,             // (n)  updates so far; += 1 where the step applies
    const Tensor* __restrict__ tensors,   // (n)
    const float* __restrict__ rate,       // (1)
    const float* __restrict__ norm,       // (1) or null
    const float* __restrict__ loss,       // (1) or null
    const float* __restrict__ loss_scale, // (1) or null
    int n, float beta1, float beta2, float max_norm, int decoupled_first)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Step step = {0, 1, 1, 0, 1, 0};
    if (tensors[i].active && (!norm || is_finite(*norm)) && (!loss || is_finite(*loss)))
    {
        int t = ++counts[i];
        double r = (double)*rate * tensors[i].rate_multiplier;
        double correction1 = 1 - power(beta1, t), correction2 = sqrt(1 - power(beta2, t));
        double shrinking = r * tensors[i].decay;
        step.applies = 1;
        if (norm && max_norm > 0) step.clip = fminf(1, max_norm / (*norm + 1e-6f));
        if (loss_scale) step.clip /= *loss_scale; // a power of two: exact
        if (decoupled_first)
        {
            step.shrink = (float)(1 - shrinking);
            step.rate = (float)(r / correction1);
            step.root_scale = (float)(1 / correction2);
        }
        else
        {
            step.rate = (float)(r * correction2 / correction1);
            step.late_decay = (float)shrinking;
        }
    }
    steps[i] = step;
}

// One block a piece.
extern "C" __global__ void adamw_update(
    const Tensor* __restrict__ tensors, // (n)
    const Step* __restrict__ steps,     // (n)
    const Piece* __restrict__ pieces,   // (blocks)
    float beta1, float beta2, float eps)
{
    Piece piece = pieces[blockIdx.x];
    Step step = steps[piece.tensor];
    if (!step.applies) return;
    Tensor tensor = tensors[piece.tensor];
    float* value = tensor.value + piece.start;
    const float* gradient = tensor.gradient + piece.start;
    float* first = tensor.first + piece.start;
    float* second = tensor.second + piece.start;

    for_columns(threadIdx.x, blockDim.x, piece.count, tensor.wide, [&](auto width, size_t e)
    {
        constexpr int W = decltype(width)::value;
        Floats<W> p = load_vector<W>(value + e), g = load_vector<W>(gradient + e), m = load_vector<W>(first + e), v = load_vector<W>(second + e);
        for (int i = 0; i < W; i++)
        {
            float d = g.at[i] * step.clip;
            m.at[i] = beta1 * m.at[i] + (1 - beta1) * d;
            v.at[i] = beta2 * v.at[i] + (1 - beta2) * d * d;
            float updated = p.at[i] * step.shrink - step.rate * m.at[i] / (sqrtf(v.at[i]) * step.root_scale + eps);
            p.at[i] = updated - step.late_decay * updated;
        }
        store_vector<W>(value + e, p);
        store_vector<W>(first + e, m);
        store_vector<W>(second + e, v);
    });
}
