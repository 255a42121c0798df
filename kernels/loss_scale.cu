// loss_scale.cu: the dynamic loss scale of f16 training (Micikevicius et al. 2018, arXiv 1710.03740, section 3.2).
//
// f16 has no number between 0 and 6e-8 and none above 65504. The loss's gradient is multiplied by a scale, so that small gradients further
// down survive; the optimiser divides by it in float. Too large a scale makes a gradient infinite, which the norm shows, and the update is
// skipped:
//
//     norm not finite:                 scale = max(smallest, scale * shrinkage)     good = 0     skipped += 1
//     norm finite, interval in a row:  scale = min(largest, scale * growth)         good = 0
//     norm finite:                     good += 1
//
// The state lies in device memory beside loss and norm: a recorded step moves it without the host, which reads all of them in one copy.
// Counts are floats, exact up to 2^24.

#include "common/prelude.cuh"

// One thread, after the update that used the scale.
extern "C" __global__ void __launch_bounds__(1) loss_scale_update(
    float* __restrict__ state,      // (3) scale, good steps since it changed, steps skipped
    const float* __restrict__ norm, // (1) of the gradients
    int interval, float growth, float shrinkage, float smallest, float largest)
{
    if (!(fabsf(*norm) <= 3.402823466e38f))
    {
        state[0] = fmaxf(state[0] * shrinkage, smallest);
        state[1] = 0;
        state[2] += 1;
    }
    else if (state[1] + 1 < interval) state[1] += 1;
    else
    {
        state[0] = fminf(state[0] * growth, largest);
        state[1] = 0;
    }
}
