// gated_mlp.cu: the gate of a gated feed-forward network (T5 v1.1, LLaMA), element by element between two products.
//
//     y = f(gate) * up                                f: SiLU (LLaMA), GELU's tanh form (T5), or any other
//     dgate = dy * up * f'(gate)        dup = dy * f(gate)
//
// Nothing but the two inputs is kept for backward. gate and up may be column slices of one product, so rows have strides.
// Cost: two reads and a write forward, three reads and two writes backward, each element once.

#include "common/prelude.cuh"
#include "common/activation.cuh"

// blockIdx.x: row; blockIdx.y and threadIdx.x: columns.
extern "C" __global__ void gated_forward(
    real* __restrict__ y,          // (N, C)
    const real* __restrict__ gate, // (N, C)
    const real* __restrict__ up,   // (N, C)
    long y_stride, long gate_stride, long up_stride, int C, int activation)
{
    int c = blockIdx.y * blockDim.x + threadIdx.x;
    size_t row = blockIdx.x;
    if (c < C) store(y + row * y_stride + c, activate(load(gate + row * gate_stride + c), activation) * load(up + row * up_stride + c));
}

extern "C" __global__ void gated_backward(
    real* dgate,      // (N, C), may be gate: each thread reads its element before it writes
    real* dup,        // (N, C), may be up
    const real* dy,   // (N, C)
    const real* gate, // (N, C)
    const real* up,   // (N, C)
    long dgate_stride, long dup_stride, long dy_stride, long gate_stride, long up_stride, int C, int activation)
{
    int c = blockIdx.y * blockDim.x + threadIdx.x;
    size_t row = blockIdx.x;
    if (c >= C) return;
    float g = load(gate + row * gate_stride + c), u = load(up + row * up_stride + c), d = load(dy + row * dy_stride + c);
    store(dgate + row * dgate_stride + c, d * u * activation_slope(g, activation));
    store(dup + row * dup_stride + c, d * activate(g, activation));
}
