using Dvp.Cuda;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>Faults in what a warp holds in fragments, and in copies that are still under way.</summary>
[Requires(Capability.KernelHost)]
public sealed class KernelHostFragmentTests
{
    // d (16, 8) = a (16, 16) b (16, 8), one warp, every matrix by rows. B0 and B1 choose the rows of b that a lane holds.
    private const string Product = """
        #include "common/prelude.cuh"
        extern "C" __global__ void product(float* d, const float* a, const float* b)
        {
            int g = threadIdx.x / 4, t = threadIdx.x % 4 * 2;
            unsigned fa[4];
            for (int i = 0; i < 4; i++)
            {
                const float* p = a + (g + i % 2 * 8) * 16 + t + i / 2 * 8;
                fa[i] = bf16x2_from_floats(p[0], p[1]);
            }
            unsigned b0 = bf16x2_from_floats(b[(B0) * 8 + g], b[(B0 + 1) * 8 + g]), b1 = bf16x2_from_floats(b[(B1) * 8 + g], b[(B1 + 1) * 8 + g]);
            float fd[4] = {0, 0, 0, 0};
            mma_bf16_16x8x16(fd, fa, b0, b1);
            for (int i = 0; i < 4; i++) d[(g + i / 2 * 8) * 8 + t + i % 2] = fd[i];
        }
        """;

    private const string Copy = """
        #include "common/prelude.cuh"
        extern "C" __global__ void copy(float* y, const float* x)
        {
            __shared__ __align__(16) float tile[128];
            int i = threadIdx.x;
            for (int k = 0; k < 4; k++) tile[4 * i + k] = 0;
            cp_async_16(tile + 4 * i, x + 4 * i, 16);
            cp_async_commit();
            WAIT
            __syncthreads();
            for (int k = 0; k < 4; k++) y[4 * i + k] = tile[127 - 4 * i - k];
        }
        """;

    [Theory]
    [InlineData("t", "t + 8", true)]
    [InlineData("t", "t", false)]
    [InlineData("g", "g", false)]
    public void A_wrong_fragment_index_changes_the_product(string b0, string b1, bool right)
    {
        // Small whole numbers: exact in bf16 and in every order of summation.
        float[] a = [.. Enumerable.Range(0, 256).Select(i => (float)(i * 7 % 11 - 5))], b = [.. Enumerable.Range(0, 128).Select(i => (float)(i * 5 % 13 - 6))];
        float[] expected = [.. from row in Enumerable.Range(0, 16) from column in Enumerable.Range(0, 8)
            select Enumerable.Range(0, 16).Sum(k => a[row * 16 + k] * b[k * 8 + column])];
        using KernelHostBench bench = new("", "fragments");
        DeviceMemory d = bench.Allocate(128);
        bench.Stream.Launch(bench.Compile(Product, "product", $"-DB0={b0}", $"-DB1={b1}"), 1, 32, 0, d, bench.Upload(a), bench.Upload(b));
        if (right)
        {
            Assert.Equal(expected, bench.Download(d));
        }
        else
        {
            Assert.NotEqual(expected, bench.Download(d));
        }
    }

    [Fact]
    public void A_fragment_index_beyond_the_matrix_is_out_of_bounds()
    {
        using KernelHostBench bench = new("check", "fragments");
        CudaFunction product = bench.Compile(Product, "product", "-DB0=t + 16", "-DB1=t + 8");
        bench.Stream.Launch(product, 1, 32, 0, bench.Allocate(128), bench.Upload(new float[256]), bench.Upload(new float[128]));
        Assert.Throws<CudaException>(bench.Stream.Synchronize);
        Assert.Contains("out of bounds: a thread reads", bench.LastReport, StringComparison.Ordinal);
    }

    [Fact]
    public void A_copy_that_nobody_waits_for_has_not_arrived()
    {
        float[] values = [.. Enumerable.Range(1, 128).Select(i => (float)i)];
        foreach (bool waits in (bool[])[true, false])
        {
            using KernelHostBench bench = new("check", "copies");
            DeviceMemory y = bench.Allocate(128);
            bench.Stream.Launch(bench.Compile(Copy, "copy", waits ? "-DWAIT=cp_async_wait<0>();" : "-DWAIT="), 1, 32, 0, y, bench.Upload(values));
            Assert.Equal(waits ? [.. values.Reverse()] : new float[128], bench.Download(y));
        }
    }

    [Fact]
    public void Lanes_that_do_not_meet_in_one_operation_are_reported()
    {
        const string text = """
            extern "C" __global__ void apart(float* y)
            {
                float v = threadIdx.x;
                if (threadIdx.x < 16) v = __shfl_sync(0xffffffffu, v, 0);
                else v = __ballot_sync(0xffffffffu, v > 3);
                y[threadIdx.x] = v;
            }
            """;
        using KernelHostBench bench = new("", "lanes");
        bench.Stream.Launch(bench.Compile(text, "apart"), 1, 32, 0, bench.Allocate(32));
        Assert.Throws<CudaException>(bench.Stream.Synchronize);
        Assert.Contains("lanes of a warp meet in different operations: __shfl_sync and __ballot_sync", bench.LastReport, StringComparison.Ordinal);
    }
}
