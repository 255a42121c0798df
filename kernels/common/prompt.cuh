// prompt.cuh: how prompt attention is cut into blocks, and where a row stands. A row is one head of one query: P H rows a sequence, row p H + h.

#pragma once
#include "common/prelude.cuh"

// What all threads of a block know about its place: a sequence, some of its rows, some of its tokens.
struct Part
{
    int b, row0, rows, token0, tokens; // rows: those that exist, at most as many as a block takes
};

// Grid (groups of `rows` rows, B, splits of the N tokens); all: P H.
__device__ __forceinline__ Part part_of(int rows, int all, int N, int split_tokens)
{
    int row0 = blockIdx.x * rows, token0 = blockIdx.z * split_tokens;
    return {(int)blockIdx.y, row0, all - row0 < rows ? all - row0 : rows, token0, N - token0 < split_tokens ? N - token0 : split_tokens};
}

// Where row p H + h of a sequence stands in (B, H, P).
__device__ __forceinline__ size_t place_of(int b, int row, int P, int H) { return ((size_t)b * H + row % H) * P + row / H; }
