// patch_embedding.cu: the squares of a picture as rows, so that a vision transformer's first convolution (stride = side) is a product.
//
//     patches[b, i J + j, (c p + u) p + v] = pixels[b, c, i p + u, j p + v]        I = height / p down, J = width / p across
//
// What does not fill a patch at the right and bottom is not read. There is no backward pass: the visual encoder is frozen.
// Cost: each pixel is read and written once. Runs of p pixels are neighbours on both sides, so writes are whole rows and reads are runs.

#include "common/mixed.cuh"

// One block a patch.
extern "C" __global__ void extract_patches(
    real* __restrict__ patches,      // (B, I J, channels p p)
    const void* __restrict__ pixels, // (B, channels, height, width), float where pixels_float
    int pixels_float, long patches_stride, int channels, int height, int width, int p)
{
    int down = height / p, across = width / p;
    int patch = blockIdx.x, b = patch / (down * across), i = patch / across % down, j = patch % across;
    for (int e = threadIdx.x; e < channels * p * p; e += blockDim.x)
    {
        int c = e / (p * p), u = e / p % p, v = e % p;
        size_t from = ((b * (size_t)channels + c) * height + i * p + u) * width + j * p + v;
        store(patches + patch * (size_t)patches_stride + e, load_mixed(pixels, from, pixels_float));
    }
}
