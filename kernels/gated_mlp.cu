// gated_mlp.cu: the gate of a gated feed-forward network (T5 v1.1, LLaMA), element by element between two products.
//
//     y = f(gate) * up                                f: SiLU (LLaMA), GELU's tanh form (T5), or any other
//     dgate = dy * up * f'(gate)        dup = dy * f(gate)
//
// Nothing but the two inputs is kept for backward. gate and up may be column slices of one product, so rows have strides.
// Cost: two reads and a write forward, three reads and two writes backward, each element once.

#include "common/activation.cuh"
#include "common/vector.cuh"

template <int W>
__device__ __forceinline__ void gated_forward_row(real* y, const real* gate, const real* up, size_t columns, int activation)
{
    for (size_t c = first_column<W>(); c < columns; c += column_step<W>())
    {
        Floats<W> v = load_vector<W>(gate + c);
        for (int i = 0; i < W; i++) v.at[i] = activate(v.at[i], activation);
        store_vector<W>(y + c, v * load_vector<W>(up + c));
    }
}

// Grid (N, blocks that share a row).
extern "C" __global__ void gated_forward(
    real* __restrict__ y,          // (N, C)
    const real* __restrict__ gate, // (N, C)
    const real* __restrict__ up,   // (N, C)
    size_t C, int y_stride, int gate_stride, int up_stride, int activation, int wide)
{
    size_t row = blockIdx.x;
    y += row * y_stride, gate += row * gate_stride, up += row * up_stride;
    if (wide) gated_forward_row<4>(y, gate, up, C, activation);
    else gated_forward_row<1>(y, gate, up, C, activation);
}

template <int W>
__device__ __forceinline__ void gated_backward_row(
    real* dgate, real* dup, const real* dy, const real* gate, const real* up, size_t columns, int activation)
{
    for (size_t c = first_column<W>(); c < columns; c += column_step<W>())
    {
        Floats<W> g = load_vector<W>(gate + c), u = load_vector<W>(up + c), d = load_vector<W>(dy + c), slope, value;
        for (int i = 0; i < W; i++) slope.at[i] = activation_slope(g.at[i], activation), value.at[i] = activate(g.at[i], activation);
        store_vector<W>(dgate + c, d * u * slope);
        store_vector<W>(dup + c, d * value);
    }
}

// Grid (N, blocks that share a row).
extern "C" __global__ void gated_backward(
    real* dgate,      // (N, C), may be gate: each thread reads its elements before it writes
    real* dup,        // (N, C), may be up
    const real* dy,   // (N, C)
    const real* gate, // (N, C)
    const real* up,   // (N, C)
    size_t C, int dgate_stride, int dup_stride, int dy_stride, int gate_stride, int up_stride, int activation, int wide)
{
    size_t row = blockIdx.x;
    dgate += row * dgate_stride, dup += row * dup_stride, dy += row * dy_stride, gate += row * gate_stride, up += row * up_stride;
    if (wide) gated_backward_row<4>(dgate, dup, dy, gate, up, C, activation);
    else gated_backward_row<1>(dgate, dup, dy, gate, up, C, activation);
}
