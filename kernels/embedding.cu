// embedding.cu: word, position and token type embeddings, summed.
//
//     y[b, t] = words[ids[b, t]] + types[type_ids[b, t]] + positions[t]      (positions and types may be null; type_ids null: type 0)
//
// Backward adds dy to the rows that were read: dwords[ids] += dy, dpositions[t] += sum over b, dtypes[type] += sum over its rows.
// Tables are of type `table` (-D table=f32 where they train: the master copy is read, a copy of a whole vocabulary would cost more), y and dy
// of `real`, gradients of tables float. An id outside its table gives a row of NaN and reads nothing: the loss shows it.
// No atomics: every table row has one owner, who adds in the order of the tokens, so two runs agree to the bit.
// Cost: forward reads the rows that are asked for and writes y, each once: the floor. Backward reads dy once, and the rows of the tables that
// it changes; finding equal ids costs N^2 / 32 comparisons a column tile, from the cache.

#include "common/columns.cuh"
#include "common/vector.cuh"

#ifndef table
#define table real
#endif

template <int W>
__device__ __forceinline__ void embedding_forward_row(real* y, const table* word, const table* type, const table* position, int C)
{
    for (size_t c = first_column<W>(); c < C; c += column_step<W>())
    {
        Floats<W> v = load_vector<W>(word + c);
        if (type) v = v + load_vector<W>(type + c);
        if (position) v = v + load_vector<W>(position + c);
        store_vector<W>(y + c, v);
    }
}

// Grid (B T, blocks that share a row).
extern "C" __global__ void embedding_forward(
    real* __restrict__ y,                // (B T, C)
    const int* __restrict__ ids,         // (B T)
    const int* __restrict__ type_ids,    // (B T) or null
    const table* __restrict__ words,     // (vocabulary, C)
    const table* __restrict__ positions, // (at least T, C) or null
    const table* __restrict__ types,     // (type_count, C) or null
    int T, int C, int vocabulary, int type_count, int y_stride, int wide)
{
    size_t row = blockIdx.x;
    int id = ids[row], type = type_ids ? type_ids[row] : 0;
    y += row * y_stride;
    if (id < 0 || id >= vocabulary || (types && (type < 0 || type >= type_count)))
    {
        for (size_t c = first_column<1>(); c < C; c += column_step<1>()) store(y + c, __uint_as_float(0x7fc00000u));
        return;
    }

    words += (size_t)id * C;
    if (types) types += (size_t)type * C;
    if (positions) positions += row % T * C;
    if (wide) embedding_forward_row<4>(y, words, types, positions, C);
    else embedding_forward_row<1>(y, words, types, positions, C);
}

// Block (row, column tile): the first row with an id owns that word. It walks the later rows 32 ids at a time: each lane compares one, and
// the ballot says which rows to add. No sorting, no scratch; rows that are not first leave after looking at the rows before them.
extern "C" __global__ void embedding_backward_words(
    float* __restrict__ dwords,  // (vocabulary, C)  +=
    const real* __restrict__ dy, // (N, C)
    const int* __restrict__ ids, // (N)
    int N, int C, int vocabulary, int padding, int dy_stride)
{
    int row = blockIdx.x, lane = threadIdx.x % kWarp;
    int c = blockIdx.y * blockDim.x + threadIdx.x;
    int id = ids[row];
    if (id == padding || id < 0 || id >= vocabulary) return; // the whole block, before any vote
    for (int before = 0; before < row; before += kWarp)
    {
        bool same = before + lane < row && ids[before + lane] == id;
        if (__ballot_sync(0xffffffffu, same)) return; // every warp sees the same ids
    }

    float sum = 0;
    for (int start = row; start < N; start += kWarp)
    {
        bool same = start + lane < N && ids[start + lane] == id;
        unsigned rows = __ballot_sync(0xffffffffu, same);
        for (int i = 0; i < kWarp && rows >> i; i++)
        {
            if ((rows >> i & 1) && c < C) sum += load(dy + (size_t)(start + i) * dy_stride + c);
        }
    }
    if (c < C) dwords[(size_t)id * C + c] += sum;
}

// Grid (column tiles, T).
extern "C" __global__ void embedding_backward_positions(
    float* __restrict__ dpositions, // (at least T, C)  +=
    const real* __restrict__ dy,    // (B T, C)
    int B, int T, int C, int dy_stride)
{
    int c = blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (c >= C) return;
    float sum = 0;
    for (int b = 0; b < B; b++) sum += load(dy + ((size_t)b * T + t) * dy_stride + c);
    dpositions[(size_t)t * C + c] += sum;
}

// Grid (column tiles of 32, types), block (32, 32).
extern "C" __global__ void embedding_backward_types(
    float* __restrict__ dtypes,       // (types, C)  +=
    const real* __restrict__ dy,      // (N, C)
    const int* __restrict__ type_ids, // (N) or null
    int N, int C, int dy_stride)
{
    __shared__ float part[kWarp * kWarp];
    int c = blockIdx.x * kWarp + threadIdx.x, type = blockIdx.y;
    float sums[1] = {};
    for (int row = threadIdx.y; row < N && c < C; row += blockDim.y)
    {
        if ((type_ids ? type_ids[row] : 0) == type) sums[0] += load(dy + (size_t)row * dy_stride + c);
    }
    sum_over_warps(sums, part);
    if (threadIdx.y == 0 && c < C) dtypes[(size_t)type * C + c] += sums[0];
}
