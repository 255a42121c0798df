// activation.cuh: the activation functions and their slopes, in float. The numbers are those of the enumeration Activation on the host.
// The choice is a run-time argument: it is the same for a whole launch, so the branch costs a few instructions and never diverges.

#pragma once

constexpr int kNone = 0, kRelu = 1, kGeluErf = 2, kGeluTanh = 3, kQuickGelu = 4, kSilu = 5, kTanh = 6;

// The quick division is good to two units in the last place, and 0 where the exponential is infinite.
__device__ __forceinline__ float sigmoid(float v) { return __fdividef(1, 1 + expf(-v)); }

// 2 sqrt(2/pi) (v + 0.044715 v^3): GELU's tanh form is v sigmoid of this, which keeps small results accurate.
__device__ __forceinline__ float gelu_tanh_argument(float v) { return v * fmaf(0.0713548163f, v * v, 1.59576912f); }

__device__ __forceinline__ float activate(float v, int activation)
{
    switch (activation)
    {
    case kRelu: return fmaxf(v, 0);
    case kGeluErf: return v * fmaf(0.5f, erff(0.707106781f * v), 0.5f); // v Phi(v)
    case kGeluTanh: return v * sigmoid(gelu_tanh_argument(v));
    case kQuickGelu: return v * sigmoid(1.702f * v);
    case kSilu: return v * sigmoid(v);
    case kTanh: return tanhf(v);
    default: return v;
    }
}

// Four values: one branch for all.
__device__ __forceinline__ void activate_4(float (&v)[4], int activation)
{
    auto all = [&](auto function)
    {
#pragma unroll
        for (int i = 0; i < 4; i++) v[i] = function(v[i]);
    };
    switch (activation)
    {
    case kNone: break;
    case kRelu: all([](float x) { return activate(x, kRelu); }); break;
    case kGeluErf: all([](float x) { return activate(x, kGeluErf); }); break;
    case kGeluTanh: all([](float x) { return activate(x, kGeluTanh); }); break;
    case kQuickGelu: all([](float x) { return activate(x, kQuickGelu); }); break;
    case kSilu: all([](float x) { return activate(x, kSilu); }); break;
    case kTanh: all([](float x) { return activate(x, kTanh); }); break;
    }
}

// d activate / dv at v
__device__ __forceinline__ float activation_slope(float v, int activation)
{
    switch (activation)
    {
    case kRelu: return v > 0 ? 1.0f : 0.0f;
    case kGeluErf: // Phi(v) + v phi(v)
        return fmaf(0.5f, erff(0.707106781f * v), 0.5f) + v * 0.398942280f * expf(-0.5f * v * v);
    case kGeluTanh:
    {
        float s = sigmoid(gelu_tanh_argument(v));
        return s + v * s * (1 - s) * fmaf(0.214064449f, v * v, 1.59576912f);
    }
    case kQuickGelu:
    {
        float s = sigmoid(1.702f * v);
        return s + 1.702f * v * s * (1 - s);
    }
    case kSilu:
    {
        float s = sigmoid(v);
        return s + v * s * (1 - s);
    }
    case kTanh:
    {
        float t = tanhf(v);
        return 1 - t * t;
    }
    default: return 1;
    }
}
