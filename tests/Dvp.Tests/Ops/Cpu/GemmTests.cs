using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;
using Xunit;
using static Dvp.Tests.Ops.Cpu.GemmOracle;

namespace Dvp.Tests.Ops.Cpu;

public sealed unsafe class GemmTests
{
    // (M, N, K): every number of rows of a tile, panels cut anywhere, one and several blocks of terms, one and several blocks of rows.
    private static readonly (int M, int N, int K)[] s_sizes =
    [
        (1, 1, 1), (1, 33, 257), (2, 16, 5), (3, 17, 31), (4, 31, 64), (5, 15, 33), (6, 32, 1), (7, 5, 17), (15, 257, 6), (16, 64, 300),
        (17, 48, 513), (31, 7, 15), (32, 16, 16), (33, 65, 32), (64, 20, 7), (97, 129, 31), (257, 33, 65), (101, 144, 777),
    ];

    public static TheoryData<string> Kinds => new(Enum.GetNames<CpuKernelKind>());

    private static CpuKernelKind Kind(string name) => Enum.Parse<CpuKernelKind>(name);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Forward_product_is_right_for_every_size(string kind)
    {
        var random = new Random(1);
        using var pool = new CpuThreadPool(2);
        foreach ((int m, int n, int k) in s_sizes)
        {
            using GuardedFloats x = new GuardedFloats(m, k, k + 3).Randomise(random);
            using GuardedFloats w = new GuardedFloats(n, k, k + 1).Randomise(random);
            using GuardedFloats bias = new GuardedFloats(1, n).Randomise(random);
            using GuardedFloats y = new GuardedFloats(m, n, n + 5).Randomise(random);
            using var packed = new PackedMatrix(PackedUse.Forward, n, k, kind: Kind(kind));
            packed.Repack(pool, w.Data, w.Stride);
            Gemm.Multiply(pool, m, x.Data, x.Stride, packed, y.Data, y.Stride, new GemmEpilogue { Bias = bias.Data });
            y.CheckGuards($"{kind} {m}x{n}x{k}");
            for (int i = 0; i < m; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    (double expected, double bound) = Exact(k, t => x[i, t], t => w[j, t], bias[0, j]);
                    Check(y[i, j], expected, bound, $"{kind} {m}x{n}x{k} [{i}, {j}]");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Backward_product_is_right_and_accumulates(string kind)
    {
        var random = new Random(2);
        using var pool = new CpuThreadPool(2);
        foreach ((int m, int n, int k) in s_sizes)
        {
            using GuardedFloats dy = new GuardedFloats(m, n, n + 2).Randomise(random);
            using GuardedFloats w = new GuardedFloats(n, k, k + 7).Randomise(random);
            using GuardedFloats dx = new GuardedFloats(m, k, k + 9).Randomise(random);
            float[] before = dx.ToArray();
            using var packed = new PackedMatrix(PackedUse.BackwardInput, n, k, kind: Kind(kind));
            packed.Repack(pool, w.Data, w.Stride);
            Gemm.Multiply(pool, m, dy.Data, dy.Stride, packed, dx.Data, dx.Stride, new GemmEpilogue { Accumulate = true });
            dx.CheckGuards($"{kind} {m}x{n}x{k}");
            for (int i = 0; i < m; i++)
            {
                for (int j = 0; j < k; j++)
                {
                    (double expected, double bound) = Exact(n, t => dy[i, t], t => w[t, j], before[(i * k) + j]);
                    Check(dx[i, j], expected, bound, $"{kind} {m}x{n}x{k} [{i}, {j}]");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Weight_gradient_is_right(string kind)
    {
        var random = new Random(3);
        using var pool = new CpuThreadPool(2);
        foreach ((int m, int n, int k) in s_sizes.Append((2500, 9, 21)))
        {
            using GuardedFloats dy = new GuardedFloats(m, n, n + 1).Randomise(random);
            using GuardedFloats x = new GuardedFloats(m, k, k + 4).Randomise(random);
            using GuardedFloats dw = new GuardedFloats(n, k, k + 2).Randomise(random);
            float[] before = dw.ToArray();
            Gemm.AccumulateOuter(pool, m, n, k, dy.Data, dy.Stride, x.Data, x.Stride, dw.Data, dw.Stride, Kind(kind));
            dw.CheckGuards($"{kind} {m}x{n}x{k}");
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < k; j++)
                {
                    (double expected, double bound) = Exact(m, t => dy[t, i], t => x[t, j], before[(i * k) + j]);
                    Check(dw[i, j], expected, bound, $"{kind} {m}x{n}x{k} [{i}, {j}]");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Strided_products_of_all_four_orders_agree_with_the_exact_one(string kind)
    {
        var random = new Random(4);
        using var pool = new CpuThreadPool(2);
        foreach ((int m, int n, int k) in new[] { (1, 1, 1), (17, 33, 64), (5, 16, 97), (33, 31, 257) })
        {
            for (int order = 0; order < 4; order++)
            {
                bool transposesA = (order & 1) != 0;
                bool transposesB = (order & 2) != 0;
                using GuardedFloats a = (transposesA ? new GuardedFloats(k, m, m + 3) : new GuardedFloats(m, k, k + 3)).Randomise(random);
                using GuardedFloats b = (transposesB ? new GuardedFloats(n, k, k + 1) : new GuardedFloats(k, n, n + 1)).Randomise(random);
                using GuardedFloats c = new GuardedFloats(m, n, n + 6).Randomise(random);
                var left = new GemmOperand(a.Data, a.Rows, a.Columns, a.Stride, 1);
                var right = new GemmOperand(b.Data, b.Rows, b.Columns, b.Stride, 1);
                Gemm.Multiply(
                    pool,
                    transposesA ? left.Transposed : left,
                    transposesB ? right.Transposed : right,
                    c.Data,
                    c.Stride,
                    accumulate: false,
                    Kind(kind));
                c.CheckGuards($"{kind} {m}x{n}x{k}");
                for (int i = 0; i < m; i++)
                {
                    for (int j = 0; j < n; j++)
                    {
                        (double expected, double bound) = Exact(
                            k, t => transposesA ? a[t, i] : a[i, t], t => transposesB ? b[j, t] : b[t, j], 0);
                        Check(c[i, j], expected, bound, $"{kind} {m}x{n}x{k} order {order} [{i}, {j}]");
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(8, 8)]
    [InlineData(16, 40)]
    [InlineData(37, 19)]
    [InlineData(7, 250)]
    public void A_transposed_copy_moves_every_element_and_no_other(int rows, int columns)
    {
        using GuardedFloats source = new GuardedFloats(columns, rows, rows + 3).Randomise(new Random(12));
        using GuardedFloats destination = new(rows, columns, columns + 2);
        MatrixTranspose.Copy(destination.Data, destination.Stride, source.Data, source.Stride, rows, columns);
        destination.CheckGuards("transpose");
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                Assert.Equal(source[j, i], destination[i, j]);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Epilogues_do_what_they_say(string kind)
    {
        var random = new Random(5);
        using var pool = new CpuThreadPool(2);
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            for (int parts = 0; parts < 16; parts++)
            {
                (int m, int n, int k) = (parts % 3) switch
                {
                    0 => (17, 37, 40),
                    1 => (5, 32, 300),
                    _ => (103, 16, 500),
                };
                bool hasBias = (parts & 1) != 0;
                bool keeps = (parts & 2) != 0;
                bool hasResidual = (parts & 4) != 0;
                bool accumulates = (parts & 8) != 0;
                using GuardedFloats x = new GuardedFloats(m, k).Randomise(random);
                using GuardedFloats w = new GuardedFloats(n, k).Randomise(random);
                using GuardedFloats bias = new GuardedFloats(1, n).Randomise(random);
                using GuardedFloats kept = new GuardedFloats(m, n, n + 2).Randomise(random);
                using GuardedFloats residual = new GuardedFloats(m, n, n + 3).Randomise(random);
                using GuardedFloats y = new GuardedFloats(m, n, n + 1).Randomise(random);
                float[] before = y.ToArray();
                using var packed = new PackedMatrix(PackedUse.Forward, n, k, kind: Kind(kind));
                packed.Repack(pool, w.Data, w.Stride);
                Gemm.Multiply(pool, m, x.Data, x.Stride, packed, y.Data, y.Stride, new GemmEpilogue
                {
                    Bias = hasBias ? bias.Data : null,
                    PreActivation = keeps ? kept.Data : null,
                    PreActivationStride = kept.Stride,
                    Activation = activation,
                    Residual = hasResidual ? residual.Data : null,
                    ResidualStride = residual.Stride,
                    Accumulate = accumulates,
                });
                y.CheckGuards($"{kind} {activation} {parts}");
                kept.CheckGuards($"{kind} {activation} {parts} kept");
                for (int i = 0; i < m; i++)
                {
                    for (int j = 0; j < n; j++)
                    {
                        string what = $"{kind} {activation} parts {parts} [{i}, {j}]";
                        (double z, double bound) = Exact(k, t => x[i, t], t => w[j, t], hasBias ? bias[0, j] : 0);
                        double expected = Activate(activation, z);
                        expected += (hasResidual ? residual[i, j] : 0) + (accumulates ? before[(i * n) + j] : 0);
                        Check(y[i, j], expected, (1.2 * bound) + 5e-7, what);
                        if (keeps)
                        {
                            Check(kept[i, j], z, bound, what + " kept");
                        }
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_residual_may_be_the_output(string kind)
    {
        var random = new Random(6);
        using var pool = new CpuThreadPool(2);
        using GuardedFloats x = new GuardedFloats(19, 600).Randomise(random);
        using GuardedFloats w = new GuardedFloats(50, 600).Randomise(random);
        using GuardedFloats y = new GuardedFloats(19, 50, 53).Randomise(random);
        float[] before = y.ToArray();
        using var packed = new PackedMatrix(PackedUse.Forward, 50, 600, kind: Kind(kind));
        packed.Repack(pool, w.Data, w.Stride);
        var epilogue = new GemmEpilogue { Residual = y.Data, ResidualStride = y.Stride };
        Gemm.Multiply(pool, 19, x.Data, x.Stride, packed, y.Data, y.Stride, epilogue);
        for (int i = 0; i < 19; i++)
        {
            for (int j = 0; j < 50; j++)
            {
                (double expected, double bound) = Exact(600, t => x[i, t], t => w[j, t], before[(i * 50) + j]);
                Check(y[i, j], expected, bound, $"{kind} [{i}, {j}]");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Threads_and_neighbouring_rows_do_not_change_a_bit(string kind)
    {
        var random = new Random(8);
        using var pool = new CpuThreadPool(1);
        foreach ((int m, int n, int k) in new[] { (17, 384, 200), (5, 800, 600), (233, 130, 300), (100, 64, 1100) })
        {
            using GuardedFloats x = new GuardedFloats(m, k).Randomise(random);
            using GuardedFloats w = new GuardedFloats(n, k).Randomise(random);
            using GuardedFloats dw = new(n, k);
            using GuardedFloats dy = new GuardedFloats(m, n).Randomise(random);
            using GuardedFloats y = new(m, n);
            using var packed = new PackedMatrix(PackedUse.Forward, n, k, kind: Kind(kind));
            var epilogue = new GemmEpilogue { Activation = Activation.GeluErf };
            float[]? first = null;
            float[]? firstGradient = null;
            foreach (int threads in new[] { 1, 2, 3 })
            {
                pool.Threads = threads;
                packed.Repack(pool, w.Data, w.Stride);
                Gemm.Multiply(pool, m, x.Data, x.Stride, packed, y.Data, y.Stride, epilogue);
                new Span<float>(dw.Data, n * k).Clear();
                Gemm.AccumulateOuter(pool, m, n, k, dy.Data, dy.Stride, x.Data, x.Stride, dw.Data, dw.Stride, Kind(kind));
                first ??= y.ToArray();
                firstGradient ??= dw.ToArray();
                Assert.Equal(first, y.ToArray());
                Assert.Equal(firstGradient, dw.ToArray());
            }

            // Row by row: what stands beside a row is without influence.
            for (int row = 0; row < m; row += 13)
            {
                Gemm.Multiply(pool, 1, x.Data + (row * x.Stride), x.Stride, packed, y.Data, y.Stride, epilogue);
                Assert.Equal(first.AsSpan(row * n, n).ToArray(), new ReadOnlySpan<float>(y.Data, n).ToArray());
            }
        }
    }

    [Fact]
    public void A_steady_product_allocates_nothing()
    {
        var random = new Random(9);
        using var pool = new CpuThreadPool(2);
        using GuardedFloats x = new GuardedFloats(40, 300).Randomise(random);
        using GuardedFloats w = new GuardedFloats(200, 300).Randomise(random);
        using GuardedFloats y = new(40, 200);
        using var packed = new PackedMatrix(PackedUse.Forward, 200, 300);
        long before = 0;
        for (int i = 0; i < 12; i++)
        {
            before = i == 4 ? GC.GetAllocatedBytesForCurrentThread() : before;
            packed.Repack(pool, w.Data, w.Stride);
            Gemm.Multiply(pool, 40, x.Data, x.Stride, packed, y.Data, y.Stride, new GemmEpilogue { Activation = Activation.Silu });
            Gemm.AccumulateOuter(pool, 40, 200, 300, y.Data, y.Stride, x.Data, x.Stride, w.Data, w.Stride);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Nothing_to_do_is_done_and_wrong_arguments_are_refused()
    {
        using var pool = new CpuThreadPool(1);
        float x = 3;
        float y = 7;
        using (var packed = new PackedMatrix(PackedUse.Forward, 1, 1))
        {
            Gemm.Multiply(pool, 0, &x, 1, packed, &y, 1, default);
            Assert.Equal(7f, y);
            Assert.Throws<ArgumentOutOfRangeException>(() => packed.Pack(pool, null, ElementType.I32, 1));
            Assert.Throws<ArgumentOutOfRangeException>(() => packed.Repack(pool, null, 0));
            packed.Dispose();
            Assert.Throws<ObjectDisposedException>(() => packed.Repack(pool, null, 1));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => new PackedMatrix(PackedUse.Forward, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new PackedMatrix(PackedUse.Forward, 1, 1, ElementType.I8));

        // An empty sum is the start value.
        Gemm.Multiply(pool, new GemmOperand(&x, 1, 0, 1, 1), new GemmOperand(&x, 0, 1, 1, 1), &y, 1, accumulate: false);
        Assert.Equal(0f, y);
    }

    [Fact]
    public void Peak_is_a_positive_rate()
    {
        foreach (CpuKernelKind kind in Enum.GetValues<CpuKernelKind>())
        {
            using var pool = new CpuThreadPool(1);
            Assert.InRange(FmaPeak.Measure(pool, kind, runs: 1), 0.01, 10_000);
        }
    }
}
