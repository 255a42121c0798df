// cuBLASLt's matrix product, for the functions that a program needs to plan and run D = alpha op(A) op(B) + beta C: so that somebody's calls,
// layouts and transposes can be tried without a GPU. Matrices are counted by columns, as there; sums are float, one element after another.
// What is queued on the stream is waited for, and the product is made at once.

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "kernel_host/half.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace
{
enum Status { kSuccess = 0, kNotInitialized = 1, kInvalidValue = 7, kNotSupported = 15 };
enum Type { kF32 = 0, kF16 = 2, kBf16 = 14 };
enum Attribute { kTransposeA = 3, kTransposeB = 4 };

constexpr int kCompute32F = 68;
constexpr size_t kVersion = 130000;

struct Operation
{
    int transpose_a = 0, transpose_b = 0;
};

struct Layout
{
    int type;
    uint64_t rows, columns;
    int64_t leading;
};

struct Preference
{
    uint64_t workspace = 0;
};

struct Candidate // cublasLtMatmulHeuristicResult_t
{
    uint64_t algorithm[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

size_t bytes(int type) { return type == kF32 ? 4 : 2; }

float read(const Layout& m, const void* values, uint64_t row, uint64_t column)
{
    const char* at = (const char*)values + (row + column * m.leading) * bytes(m.type);
    if (m.type == kF32)
    {
        float v;
        memcpy(&v, at, 4);
        return v;
    }
    uint16_t bits;
    memcpy(&bits, at, 2);
    return m.type == kF16 ? kernel_host::float_from_half(bits) : __uint_as_float((unsigned)bits << 16);
}

void write(const Layout& m, void* values, uint64_t row, uint64_t column, float v)
{
    char* at = (char*)values + (row + column * m.leading) * bytes(m.type);
    if (m.type == kF32)
    {
        memcpy(at, &v, 4);
        return;
    }
    uint16_t bits = m.type == kF16 ? kernel_host::half_from_float(v) : kernel_host::bf16_from_float(v);
    memcpy(at, &bits, 2);
}

bool known(int type) { return type == kF32 || type == kF16 || type == kBf16; }

// The driver that lies beside this file.
int wait_for(void* stream)
{
    static auto synchronize = []() -> int (*)(void*)
    {
        Dl_info self;
        if (!dladdr((void*)&wait_for, &self)) return nullptr;
        std::string folder(self.dli_fname);
        void* driver = dlopen((folder.substr(0, folder.rfind('/') + 1) + "libcuda.so.1").c_str(), RTLD_NOW);
        return driver ? (int (*)(void*))dlsym(driver, "cuStreamSynchronize") : nullptr;
    }();
    return synchronize ? synchronize(stream) : 1;
}
}

EXPORT int cublasLtCreate(void** handle)
{
    *handle = new (std::nothrow) char;
    return *handle ? kSuccess : kNotInitialized;
}

EXPORT int cublasLtDestroy(void* handle)
{
    delete (char*)handle;
    return kSuccess;
}

EXPORT size_t cublasLtGetVersion() { return kVersion; }

EXPORT int cublasLtMatmulDescCreate(void** operation, int compute, int scale)
{
    if (compute != kCompute32F || scale != kF32) return kNotSupported;
    *operation = new Operation;
    return kSuccess;
}

EXPORT int cublasLtMatmulDescDestroy(void* operation)
{
    delete (Operation*)operation;
    return kSuccess;
}

EXPORT int cublasLtMatmulDescSetAttribute(void* operation, int attribute, const void* value, size_t size)
{
    if (size != sizeof(int) || (attribute != kTransposeA && attribute != kTransposeB)) return kInvalidValue;
    Operation& o = *(Operation*)operation;
    memcpy(attribute == kTransposeA ? &o.transpose_a : &o.transpose_b, value, size);
    return kSuccess;
}

EXPORT int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns, int64_t leading)
{
    if (!known(type) || leading < (int64_t)rows) return kInvalidValue;
    *layout = new Layout{type, rows, columns, leading};
    return kSuccess;
}

EXPORT int cublasLtMatrixLayoutDestroy(void* layout)
{
    delete (Layout*)layout;
    return kSuccess;
}

EXPORT int cublasLtMatmulPreferenceCreate(void** preference)
{
    *preference = new Preference;
    return kSuccess;
}

EXPORT int cublasLtMatmulPreferenceDestroy(void* preference)
{
    delete (Preference*)preference;
    return kSuccess;
}

EXPORT int cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* value, size_t size)
{
    if (attribute != 1 || size != sizeof(uint64_t)) return kInvalidValue;
    memcpy(&((Preference*)preference)->workspace, value, size);
    return kSuccess;
}

static int check(const Operation& o, const Layout& a, const Layout& b, const Layout& c, const Layout& d)
{
    uint64_t m = o.transpose_a ? a.columns : a.rows, k = o.transpose_a ? a.rows : a.columns;
    uint64_t k_of_b = o.transpose_b ? b.columns : b.rows, n = o.transpose_b ? b.rows : b.columns;
    bool fits = k == k_of_b && d.rows == m && d.columns == n && c.rows == m && c.columns == n;
    return fits ? kSuccess : kInvalidValue;
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(
    void*, void* operation, void* a, void* b, void* c, void* d, void*, int wanted, Candidate* found, int* count)
{
    *count = 0;
    int status = check(*(Operation*)operation, *(Layout*)a, *(Layout*)b, *(Layout*)c, *(Layout*)d);
    if (status != kSuccess) return status;
    if (wanted < 1) return kInvalidValue;
    memset(found, 0, sizeof *found);
    *count = 1;
    return kSuccess;
}

EXPORT int cublasLtMatmul(
    void* handle, void* operation, const float* alpha, const void* a, void* a_layout, const void* b, void* b_layout, const float* beta,
    const void* c, void* c_layout, void* d, void* d_layout, const void*, void*, size_t, void* stream)
{
    if (!handle) return kNotInitialized;
    const Operation& o = *(Operation*)operation;
    const Layout &ma = *(Layout*)a_layout, &mb = *(Layout*)b_layout, &mc = *(Layout*)c_layout, &md = *(Layout*)d_layout;
    int status = check(o, ma, mb, mc, md);
    if (status != kSuccess) return status;
    if (wait_for(stream)) return kNotInitialized;
    uint64_t depth = o.transpose_a ? ma.rows : ma.columns;
    for (uint64_t j = 0; j < md.columns; j++)
    {
        for (uint64_t i = 0; i < md.rows; i++)
        {
            float sum = 0;
            for (uint64_t k = 0; k < depth; k++)
            {
                sum += (o.transpose_a ? read(ma, a, k, i) : read(ma, a, i, k)) * (o.transpose_b ? read(mb, b, j, k) : read(mb, b, k, j));
            }
            float before = *beta == 0 ? 0 : *beta * read(mc, c, i, j);
            write(md, d, i, j, *alpha * sum + before);
        }
    }
    return kSuccess;
}
