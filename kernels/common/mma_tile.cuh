// mma_tile.cuh: pieces of matrices on their way from global memory through shared memory to the tensor cores: for 16-bit storage.
//
// An operand is (outer, K): outer are the rows of A or of B in sum = A B^T. In memory K runs along the rows (kAlongK), or every k has a row
// of its own (kAcrossK), as the transposed operands of the gradients do; ldmatrix turns the latter round on the way to registers.
//
// Shared memory is an array of chunks of 16 bytes, eight elements: what cp.async writes and what ldmatrix reads as one row of a matrix. A piece
// keeps the operand's order: kAlongK rows of 32 k are four chunks, kAcrossK rows of `outer` elements are outer / 8.
// Eight rows at the same chunk would lie in the same few banks, so the chunk's place in its row is XORed with the row's number:
// ldmatrix then meets every bank once, and so does cp.async.

#pragma once
#include "common/words.cuh"

enum Layout { kAlongK, kAcrossK };

constexpr int kDepth = 32; // k of a piece: two steps of mma

template <int kChunks> __device__ __forceinline__ int swizzled(int row, int chunk)
{
    // Rows of four chunks: two rows share the 128 bytes in which every bank lies once.
    return kChunks == 4 ? row * 4 + (chunk ^ (row >> 1 & 3)) : row * kChunks + (chunk ^ (row & 7));
}

// A chunk that begins anywhere: element by element, through registers.
__device__ __forceinline__ word_4 gather(const real* p, int elements)
{
    word_4 chunk = {};
#pragma unroll
    for (int i = 0; i < 8; i++)
    {
        if (i < elements) chunk.w[i / 2] |= (unsigned)p[i].bits << (i % 2 * 16);
    }
    return chunk;
}

// Brings pieces of kOuter x kDepth, one after the other along K, with all kThreads threads of a block.
template <Layout kLayout, int kOuter, int kThreads> struct PieceLoader
{
    static constexpr int kChunks = kLayout == kAlongK ? kDepth / 8 : kOuter / 8; // of a row
    static constexpr int kRows = kThreads / kChunks;                             // that the block brings at a time
    static constexpr int kCopies = kOuter * kDepth / 8 / kThreads;               // of a thread
    static_assert(kRows % 8 == 0 && kCopies * kThreads * 8 == kOuter * kDepth, "a thread's copies have one place in the swizzle");

    const real* next; // this thread's first chunk of the next piece
    int place;        // and where it goes
    int along, rows;  // elements from there to the end of the row, rows from there to the end: of the operand for outer, of the piece's start for k
    int stride;       // elements from row to row
    bool aligned;     // base and stride are multiples of a chunk
    bool inside;      // the tile lies inside the operand as well: what most blocks do in most pieces costs a few instructions

    __device__ __forceinline__ PieceLoader(const real* p, int first, int count, int stride, int k_start, bool aligned)
        : stride(stride), aligned(aligned), inside(aligned && first + kOuter <= count)
    {
        int row = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
        place = swizzled<kChunks>(row, chunk);
        next = kLayout == kAlongK ? p + (size_t)(first + row) * stride + k_start + chunk * 8
                                  : p + (size_t)(k_start + row) * stride + first + chunk * 8;
        along = kLayout == kAlongK ? -chunk * 8 : count - first - chunk * 8;
        rows = kLayout == kAlongK ? count - first - row : -row;
    }

    // Begins the copies of the next piece; left is how many k there still are. What does not exist is zero in shared memory.
    __device__ __forceinline__ void fetch(word_4* piece, int left)
    {
        word_4* to = piece + place;
        const real* from = next;
        next += kLayout == kAlongK ? kDepth : (size_t)kDepth * stride;
        if (inside && left >= kDepth)
        {
#pragma unroll
            for (int i = 0; i < kCopies; i++)
            {
                cp_async_16(to + i * kRows * kChunks, from);
                from += kRows * stride;
            }
            return;
        }
#pragma unroll 1
        for (int i = 0; i < kCopies; i++)
        {
            int row = (kLayout == kAlongK ? rows : rows + left) - i * kRows;
            int elements = row > 0 ? min(8, max(0, kLayout == kAlongK ? along + left : along)) : 0;
            if (aligned) cp_async_16(to + i * kRows * kChunks, from, elements * 2);
            else to[i * kRows * kChunks] = gather(from, elements);
            from += kRows * stride;
        }
    }
};

// Where a lane points ldmatrix at for the first 16 x 16 of a warp's part of a piece, which begins at `outer`. Further ones differ by constants
// and an XOR, so that the loop over pieces computes next to nothing for them. As mma takes A: f[0..3] are (outer 0-7, k 0-7),
// (outer 8-15, k 0-7), (outer 0-7, k 8-15), (outer 8-15, k 8-15).
template <Layout kLayout, int kOuter> __device__ __forceinline__ int place_of_a(int outer, int lane)
{
    int r = lane % 8, outer_half = lane / 8 % 2, k_half = lane / 16;
    return kLayout == kAlongK ? swizzled<kDepth / 8>(outer + outer_half * 8 + r, k_half) : swizzled<kOuter / 8>(k_half * 8 + r, outer / 8 + outer_half);
}

// As mma takes B, two neighbouring pieces of 8: f[0..1] are (outer 0-7, k 0-7), (outer 0-7, k 8-15), f[2..3] those of outer 8-15.
template <Layout kLayout, int kOuter> __device__ __forceinline__ int place_of_b(int outer, int lane)
{
    int r = lane % 8, k_half = lane / 8 % 2, outer_half = lane / 16;
    return kLayout == kAlongK ? swizzled<kDepth / 8>(outer + outer_half * 8 + r, k_half) : swizzled<kOuter / 8>(k_half * 8 + r, outer / 8 + outer_half);
}

// The 16 x 16 at `more` outer elements from the warp's first and at k of the piece, multiples of 16. The warp's part begins at a multiple of its
// length, a power of two, so that nothing carries into the bits that the swizzle turns.
template <Layout kLayout, int kOuter> __device__ __forceinline__ void load_fragment(unsigned (&f)[4], const word_4* piece, int place, int more, int k)
{
    if (kLayout == kAlongK) ldmatrix_x4(f, piece + (place ^ k / 8) + more * (kDepth / 8));
    else ldmatrix_x4_trans(f, piece + (place ^ more / 8) + k * (kOuter / 8));
}

__device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, const bf16*) { mma_bf16_16x8x16(d, a, b0, b1); }
__device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, const f16*) { mma_f16_16x8x16(d, a, b0, b1); }

// A ring of kStages stages: fetch(stage) begins the copies of the next piece, use(stage) multiplies the piece that has arrived, pieces times each
// and in order. One barrier a piece: it says both that the piece has arrived for all threads and that nobody still reads the
// stage that is filled next. At the end the stages are free.
template <int kStages, typename Fetch, typename Use> __device__ __forceinline__ void pipeline(int pieces, Fetch fetch, Use use)
{
    int fetched = 0;
    auto begin = [&](int stage)
    {
        if (fetched < pieces) fetch(stage);
        fetched++;
        cp_async_commit(); // an empty group too: the wait below counts groups
    };
#pragma unroll 1
    for (int stage = 0; stage < kStages - 1; stage++) begin(stage);
    int stage = 0;
    for (int piece = 0; piece < pieces; piece++)
    {
        cp_async_wait<kStages - 2>();
        __syncthreads();
        begin(stage == 0 ? kStages - 1 : stage - 1); // the stage that was multiplied last
        use(stage);
        stage = stage == kStages - 1 ? 0 : stage + 1;
    }
    __syncthreads();
}

constexpr int kFloatsOfRow = 40; // 32 columns; 8 more put the rows that are written together into different banks

// Hands the sums of a warp, kGroups times eight rows of 32 columns, to leave(row, column, values): four columns a lane, eight lanes a row, so that a
// row leaves as whole sectors. mma gives a lane pairs of columns in eight rows, pair(group, j) are those of columns 8 j ..; they change hands
// in shared memory of the warp's own, 8 kGroups kFloatsOfRow floats.
template <int kGroups, typename Pair, typename Leave> __device__ __forceinline__ void leave_rows(float* rows, int lane, Pair pair, Leave leave)
{
#pragma unroll
    for (int group = 0; group < kGroups; group++)
    {
#pragma unroll
        for (int j = 0; j < 4; j++) *(word_2*)(rows + (group * 8 + lane / 4) * kFloatsOfRow + j * 8 + lane % 4 * 2) = pair(group, j);
    }
    __syncwarp();
#pragma unroll 1
    for (int r = lane / 8; r < 8 * kGroups; r += 4) leave(r, lane % 8 * 4, load_4(rows + r * kFloatsOfRow + lane % 8 * 4));
    __syncwarp();
}
