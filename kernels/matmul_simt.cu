// matmul_simt.cu: matrix products in plain float arithmetic, for storage f32: every product and sum is an IEEE single, nothing is rounded to TF32.
//
//     forward:        y (rows, outputs) = activation(x W^T + bias) + residual      pre = x W^T + bias, kept for backward
//     backward input: dx (rows, inputs) = dy W + residual
//     backward weight: dW (outputs, inputs) += dy^T x
//
// x (rows, inputs), dy (rows, outputs), W (outputs, inputs). All three are sum = A B^T of an A (M, K) and a B (N, K); they differ in how A and
// B lie in memory: with K along the rows (kAlongK) or with a row for every k (kAcrossK).
//
// A block of 16 x 16 threads makes a tile x tile square of the result. For kStep k at a time the operands' pieces go through shared
// memory, k outermost, and a thread multiplies (tile / 16) rows by (tile / 16) columns in registers: with tile 128 that is 64 multiplications
// for 16 values read from shared memory, with tile 64 (more blocks, for short batches) 16 for 8. While one piece is multiplied the next is
// on its way into registers. The rows of a thread lie in groups of four, 64 apart, so that neighbouring threads read and write neighbours.
//
// Cost: 2 M N K FLOPs, the floor where rows are many; each element of A is read for every `tile` columns of B, and the other way round.
//
// Split sums: blockIdx.z takes the k from blockIdx.z * k_per_split on. With more than one split the parts go to `partial` (splits, M, N), and
// matmul_reduce.cu adds them in their order and does what follows the product.

#include "common/epilogue.cuh"

#ifndef tile
#define tile 64
#endif

enum Layout { kAlongK, kAcrossK };

constexpr int kSide = 16, kThreads = kSide * kSide;
constexpr int kStep = tile > 64 ? 8 : 16; // k of a piece
constexpr int kPieces = tile / 64;  // groups of four rows (and of four columns) of a thread
constexpr int kLoads = tile * kStep / kThreads;

// One operand's way from global memory to shared memory. Neighbouring threads take neighbours in memory; a thread's loads lie a fixed way apart.
template <Layout kLayout> struct Operand
{
    static constexpr int kAcross = kThreads / (kLayout == kAlongK ? kStep : tile); // rows in memory that the block reads at a time

    const real* next; // this thread's first element of the next piece
    int k, outer;     // where it lies in the piece and in the operand
    int count;        // rows (or columns) of the operand
    int stride;       // elements from row to row in memory
    float held[kLoads];

    __device__ __forceinline__ Operand(const real* p, int first, int count, int stride, int k_start) : count(count), stride(stride)
    {
        k = kLayout == kAlongK ? threadIdx.x % kStep : threadIdx.x / tile;
        outer = first + (kLayout == kAlongK ? threadIdx.x / kStep : threadIdx.x % tile);
        size_t row = kLayout == kAlongK ? outer : k_start + k, column = kLayout == kAlongK ? k_start + k : outer;
        next = p + row * stride + column;
    }

    __device__ __forceinline__ void fetch(int left) // of k; beyond, and beyond the operand, the product sees zeros
    {
#pragma unroll
        for (int i = 0; i < kLoads; i++)
        {
            bool inside = kLayout == kAlongK ? k < left && outer + i * kAcross < count : k + i * kAcross < left && outer < count;
            held[i] = inside ? load(next + (size_t)(i * kAcross) * stride) : 0;
        }
        next += kLayout == kAlongK ? kStep : (size_t)kStep * stride;
    }

    __device__ __forceinline__ void put(float (*shared)[tile + 4], int first) const
    {
#pragma unroll
        for (int i = 0; i < kLoads; i++)
        {
            if (kLayout == kAlongK) shared[k][outer - first + i * kAcross] = held[i];
            else shared[k + i * kAcross][outer - first] = held[i];
        }
    }
};

template <Layout kA, Layout kB>
__device__ __forceinline__ void multiply(
    const Epilogue& epilogue, float* partial, const real* a, const real* b, int K, int a_stride, int b_stride, int k_per_split)
{
    // + 4 keeps rows at multiples of 16 bytes and spreads the transposing stores of kAlongK over the banks.
    alignas(16) __shared__ float a_tile[kStep][tile + 4];
    alignas(16) __shared__ float b_tile[kStep][tile + 4];
    int M = epilogue.M, N = epilogue.N;
    int row0 = blockIdx.x * tile, column0 = blockIdx.y * tile;
    int k_start = blockIdx.z * k_per_split;
    int k_end = min(K, k_start + k_per_split);
    int ty = threadIdx.x / kSide, tx = threadIdx.x % kSide;

    Operand<kA> from_a(a, row0, M, a_stride, k_start);
    Operand<kB> from_b(b, column0, N, b_stride, k_start);
    float sum[4 * kPieces][4 * kPieces] = {};
    from_a.fetch(k_end - k_start);
    from_b.fetch(k_end - k_start);
    for (int left = k_end - k_start; left > 0; left -= kStep)
    {
        from_a.put(a_tile, row0);
        from_b.put(b_tile, column0);
        __syncthreads();
        from_a.fetch(left - kStep);
        from_b.fetch(left - kStep);
#pragma unroll
        for (int k = 0; k < kStep; k++)
        {
            float_4 rows[kPieces], columns[kPieces];
#pragma unroll
            for (int piece = 0; piece < kPieces; piece++)
            {
                rows[piece] = load_4(&a_tile[k][piece * 64 + ty * 4]);
                columns[piece] = load_4(&b_tile[k][piece * 64 + tx * 4]);
            }
#pragma unroll
            for (int i = 0; i < 4 * kPieces; i++)
            {
#pragma unroll
                for (int j = 0; j < 4 * kPieces; j++) sum[i][j] = fmaf(rows[i / 4].v[i % 4], columns[j / 4].v[j % 4], sum[i][j]);
            }
        }
        __syncthreads();
    }

#pragma unroll
    for (int i = 0; i < 4 * kPieces; i++)
    {
        int row = row0 + i / 4 * 64 + ty * 4 + i % 4;
#pragma unroll
        for (int piece = 0; piece < kPieces; piece++)
        {
            int column = column0 + piece * 64 + tx * 4;
            float_4 x = {sum[i][4 * piece], sum[i][4 * piece + 1], sum[i][4 * piece + 2], sum[i][4 * piece + 3]};
            if (partial) write_partial(partial + (size_t)blockIdx.z * M * N, row, column, M, N, x);
            else epilogue.write_4(row, column, x);
        }
    }
}

// Grid (rows / tile, outputs / tile, splits), 256 threads.
extern "C" __global__ void __launch_bounds__(256, kPieces) matmul_simt_forward(
    real* y,                           // (rows, outputs)
    real* pre,                         // (rows, outputs) or null
    float* __restrict__ partial,       // (splits, rows, outputs); null when there is one split
    const real* __restrict__ x,        // (rows, inputs)
    const real* __restrict__ weight,   // (outputs, inputs)
    const real* __restrict__ bias,     // (outputs) or null
    const real* residual,              // (rows, outputs) or null; may be y
    int rows, int outputs, int inputs, int k_per_split,
    int y_stride, int pre_stride, int x_stride, int weight_stride, int residual_stride,
    int activation,
    int vectors) // 1: bases and strides of y, pre, bias and residual are multiples of four elements
{
    Epilogue epilogue = {y, pre, bias, residual, rows, outputs, y_stride, pre_stride, residual_stride, activation, vectors != 0, true};
    multiply<kAlongK, kAlongK>(epilogue, partial, x, weight, inputs, x_stride, weight_stride, k_per_split);
}

// Grid (rows / tile, inputs / tile, splits), 256 threads. The sum runs over the outputs.
extern "C" __global__ void __launch_bounds__(256, kPieces) matmul_simt_backward_input(
    real* dx,                          // (rows, inputs)
    float* __restrict__ partial,       // (splits, rows, inputs); null when there is one split
    const real* __restrict__ dy,       // (rows, outputs)
    const real* __restrict__ weight,   // (outputs, inputs)
    const real* residual,              // (rows, inputs) or null; dx itself to add to it
    int rows, int inputs, int outputs, int k_per_split,
    int dx_stride, int dy_stride, int weight_stride, int residual_stride,
    int vectors)
{
    Epilogue epilogue = {dx, nullptr, nullptr, residual, rows, inputs, dx_stride, 0, residual_stride, kNone, vectors != 0, true};
    multiply<kAlongK, kAcrossK>(epilogue, partial, dy, weight, outputs, dy_stride, weight_stride, k_per_split);
}

// Grid (outputs / tile, inputs / tile, splits), 256 threads. The sum runs over the rows.
extern "C" __global__ void __launch_bounds__(256) matmul_simt_backward_weight(
    float* dweight,                    // (outputs, inputs) +=
    float* __restrict__ partial,       // (splits, outputs, inputs); null when there is one split
    const real* __restrict__ dy,       // (rows, outputs)
    const real* __restrict__ x,        // (rows, inputs)
    int outputs, int inputs, int rows, int k_per_split,
    int dweight_stride, int dy_stride, int x_stride,
    int vectors)
{
    Epilogue epilogue = {dweight, nullptr, nullptr, dweight, outputs, inputs, dweight_stride, 0, dweight_stride, kNone, vectors != 0, true};
    multiply<kAcrossK, kAcrossK>(epilogue, partial, dy, x, rows, dy_stride, x_stride, k_per_split);
}
