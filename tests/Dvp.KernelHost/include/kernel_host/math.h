// math.h: the mathematical functions that CUDA offers without a header. The fast intrinsics (__expf, __fdividef) have the exact
// functions' meaning here: their error on a GPU is the GPU's.

#pragma once

#define KERNEL_HOST_UNARY(name)                                          \
    extern "C" float name##f(float) noexcept;                            \
    extern "C" double name(double) noexcept;                             \
    static inline float name(float v) { return name##f(v); }
KERNEL_HOST_UNARY(exp) KERNEL_HOST_UNARY(exp2) KERNEL_HOST_UNARY(expm1)
KERNEL_HOST_UNARY(log) KERNEL_HOST_UNARY(log2) KERNEL_HOST_UNARY(log10) KERNEL_HOST_UNARY(log1p)
KERNEL_HOST_UNARY(sin) KERNEL_HOST_UNARY(cos) KERNEL_HOST_UNARY(tan) KERNEL_HOST_UNARY(asin) KERNEL_HOST_UNARY(acos) KERNEL_HOST_UNARY(atan)
KERNEL_HOST_UNARY(sinh) KERNEL_HOST_UNARY(cosh) KERNEL_HOST_UNARY(tanh) KERNEL_HOST_UNARY(erf) KERNEL_HOST_UNARY(erfc)
KERNEL_HOST_UNARY(sqrt) KERNEL_HOST_UNARY(cbrt) KERNEL_HOST_UNARY(fabs)
KERNEL_HOST_UNARY(floor) KERNEL_HOST_UNARY(ceil) KERNEL_HOST_UNARY(trunc) KERNEL_HOST_UNARY(round) KERNEL_HOST_UNARY(rint) KERNEL_HOST_UNARY(nearbyint)
#undef KERNEL_HOST_UNARY

#define KERNEL_HOST_BINARY(name)                                         \
    extern "C" float name##f(float, float) noexcept;                     \
    extern "C" double name(double, double) noexcept;                     \
    static inline float name(float a, float b) { return name##f(a, b); }
KERNEL_HOST_BINARY(pow) KERNEL_HOST_BINARY(fmod) KERNEL_HOST_BINARY(atan2) KERNEL_HOST_BINARY(copysign)
KERNEL_HOST_BINARY(fmin) KERNEL_HOST_BINARY(fmax) KERNEL_HOST_BINARY(hypot) KERNEL_HOST_BINARY(remainder)
#undef KERNEL_HOST_BINARY

extern "C" float fmaf(float, float, float) noexcept;
extern "C" double fma(double, double, double) noexcept;
static inline float fma(float a, float b, float c) { return fmaf(a, b, c); }
extern "C" float ldexpf(float, int) noexcept;
extern "C" double ldexp(double, int) noexcept;
extern "C" void sincosf(float, float*, float*) noexcept;
extern "C" long lrintf(float) noexcept;

// Of pi times v, for any v: the remainder is exact, and the product is rounded in double.
static inline double sinpi(double v) { return sin(3.14159265358979323846 * remainder(v, 2.0)); }
static inline double cospi(double v) { return cos(3.14159265358979323846 * remainder(v, 2.0)); }
static inline float sinpif(float v) { return (float)sinpi(v); }
static inline float cospif(float v) { return (float)cospi(v); }
static inline void sincospif(float v, float* s, float* c) { *s = sinpif(v), *c = cospif(v); }
static inline float exp10f(float v) { return powf(10.0f, v); }

static inline float rsqrtf(float v) { return 1.0f / sqrtf(v); }
static inline double rsqrt(double v) { return 1.0 / sqrt(v); }
static inline float rsqrt(float v) { return rsqrtf(v); }
static inline float normcdff(float v) { return 0.5f * erfcf(-v * 0.70710678118654752f); }

static inline bool isnan(float v) { return __builtin_isnan(v); }
static inline bool isnan(double v) { return __builtin_isnan(v); }
static inline bool isinf(float v) { return __builtin_isinf(v); }
static inline bool isinf(double v) { return __builtin_isinf(v); }
static inline bool isfinite(float v) { return __builtin_isfinite(v); }
static inline bool isfinite(double v) { return __builtin_isfinite(v); }

static inline int abs(int v) { return v < 0 ? -v : v; }
static inline long abs(long v) { return v < 0 ? -v : v; }
static inline long long abs(long long v) { return v < 0 ? -v : v; }
static inline float abs(float v) { return __builtin_fabsf(v); }
static inline double abs(double v) { return __builtin_fabs(v); }

#define KERNEL_HOST_MIN_MAX(R, A, B)                                               \
    static inline R min(A a, B b) { return (R)b < (R)a ? (R)b : (R)a; }            \
    static inline R max(A a, B b) { return (R)a < (R)b ? (R)b : (R)a; }
KERNEL_HOST_MIN_MAX(int, int, int)
KERNEL_HOST_MIN_MAX(unsigned, unsigned, unsigned)
KERNEL_HOST_MIN_MAX(unsigned, int, unsigned)
KERNEL_HOST_MIN_MAX(unsigned, unsigned, int)
KERNEL_HOST_MIN_MAX(long, long, long)
KERNEL_HOST_MIN_MAX(unsigned long, unsigned long, unsigned long)
KERNEL_HOST_MIN_MAX(unsigned long, long, unsigned long)
KERNEL_HOST_MIN_MAX(unsigned long, unsigned long, long)
KERNEL_HOST_MIN_MAX(long long, long long, long long)
KERNEL_HOST_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
KERNEL_HOST_MIN_MAX(unsigned long long, long long, unsigned long long)
KERNEL_HOST_MIN_MAX(unsigned long long, unsigned long long, long long)
#undef KERNEL_HOST_MIN_MAX
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline double min(float a, double b) { return fmin(a, b); }
static inline double max(float a, double b) { return fmax(a, b); }
static inline double min(double a, float b) { return fmin(a, b); }
static inline double max(double a, float b) { return fmax(a, b); }

static inline float __expf(float v) { return expf(v); }
static inline float __exp10f(float v) { return powf(10.0f, v); }
static inline float __logf(float v) { return logf(v); }
static inline float __log2f(float v) { return log2f(v); }
static inline float __log10f(float v) { return log10f(v); }
static inline float __powf(float a, float b) { return powf(a, b); }
static inline float __sinf(float v) { return sinf(v); }
static inline float __cosf(float v) { return cosf(v); }
static inline float __tanf(float v) { return tanf(v); }
static inline float __tanhf(float v) { return tanhf(v); }
static inline void __sincosf(float v, float* s, float* c) { sincosf(v, s, c); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __saturatef(float v) { return v >= 0 ? (v <= 1 ? v : 1.0f) : 0.0f; }

static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __frcp_rn(float v) { return 1.0f / v; }
static inline float __fsqrt_rn(float v) { return sqrtf(v); }
static inline float __frsqrt_rn(float v) { return rsqrtf(v); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }

// Conversions saturate and give 0 for NaN, as the device's do.
namespace kernel_host
{
template <class To>
inline To saturating(double v, double low, double high) { return v != v ? To(0) : v <= low ? To(low) : v >= high ? To(high) : To(v); }
inline int to_int(double v) { return saturating<int>(v, -2147483648.0, 2147483647.0); }
inline unsigned to_uint(double v) { return saturating<unsigned>(v, 0.0, 4294967295.0); }
}
static inline int __float2int_rn(float v) { return kernel_host::to_int(rintf(v)); }
static inline int __float2int_rz(float v) { return kernel_host::to_int(truncf(v)); }
static inline int __float2int_rd(float v) { return kernel_host::to_int(floorf(v)); }
static inline int __float2int_ru(float v) { return kernel_host::to_int(ceilf(v)); }
static inline unsigned __float2uint_rn(float v) { return kernel_host::to_uint(rintf(v)); }
static inline unsigned __float2uint_rz(float v) { return kernel_host::to_uint(truncf(v)); }
static inline unsigned __float2uint_rd(float v) { return kernel_host::to_uint(floorf(v)); }
static inline unsigned __float2uint_ru(float v) { return kernel_host::to_uint(ceilf(v)); }
static inline float __int2float_rn(int v) { return (float)v; }
static inline float __uint2float_rn(unsigned v) { return (float)v; }
static inline float __ull2float_rn(unsigned long long v) { return (float)v; }
static inline double __int2double_rn(int v) { return v; }
