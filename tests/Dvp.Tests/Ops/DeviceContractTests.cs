using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Ops;

/// <summary>What the contract of a device says beside the numbers: copies, counters, errors, memory.</summary>
public abstract class DeviceContractTests(DeviceUnderTest device)
{
    private static readonly ElementType[] s_floats = [ElementType.F32, ElementType.F16, ElementType.BF16];

    [Fact]
    public void Memory_is_zeroed_and_counted()
    {
        using Backend backend = device.Strictest.Open();
        long before = backend.Counters.BytesAllocated;
        using (DeviceBuffer buffer = backend.Allocate(1000))
        {
            Assert.Equal(before + 1000, backend.Counters.BytesAllocated);
            byte[] bytes = new byte[1000];
            Array.Fill(bytes, (byte)0xFF);
            backend.DownloadBytes(bytes, new Tensor(buffer, 0, ElementType.U8, [1000]));
            Assert.All(bytes, b => Assert.Equal(0, b));
            Assert.NotEqual(0, buffer.Address);
        }

        Assert.Equal(before, backend.Counters.BytesAllocated);
        Assert.True(backend.Counters.PeakBytesAllocated >= before + 1000);
        using DeviceBuffer empty = backend.Allocate(0);
        Assert.Equal(0, empty.Bytes);
    }

    [Fact]
    public void A_second_dispose_does_nothing()
    {
        Backend backend = device.Strictest.Open();
        DeviceBuffer buffer = backend.Allocate(64);
        buffer.Dispose();
        buffer.Dispose();
        Assert.Equal(0, backend.Counters.BytesAllocated);
        backend.Dispose();
        backend.Dispose();
    }

    [Fact]
    public void Copies_are_counted()
    {
        using Backend backend = device.Strictest.Open();
        using DeviceBuffer buffer = backend.Allocate(64);
        Tensor tensor = new(buffer, 0, ElementType.F32, [4, 4]);
        (long uploads, long downloads, long bytes) = (backend.Counters.Uploads, backend.Counters.Downloads, backend.Counters.BytesCopied);
        backend.Upload(tensor, new float[16]);
        backend.Upload(new Tensor(buffer, 0, ElementType.I32, [3]), [1, 2, 3]);
        backend.UploadBytes(tensor, new byte[64]);
        backend.Download(new float[16], tensor);
        backend.DownloadBytes(new byte[64], tensor);
        Assert.Equal(uploads + 3, backend.Counters.Uploads);
        Assert.Equal(downloads + 2, backend.Counters.Downloads);
        Assert.Equal(bytes + 64 + 12 + 64 + 64 + 64, backend.Counters.BytesCopied);
    }

    [Fact]
    public void Operators_are_counted_and_copy_nothing_to_the_host()
    {
        using Backend backend = device.Strictest.Open();
        using OpBench bench = new(backend);
        (Tensor x, Tensor y) = (bench.Input("x", [3, 5]), bench.Output([3, 5]));
        (long launches, long uploads, long downloads) = (backend.Counters.Launches, backend.Counters.Uploads, backend.Counters.Downloads);
        backend.Copy(y, x);
        backend.ActivationForward(y, x, Activation.Relu);
        backend.Synchronize();
        Assert.True(backend.Counters.Launches >= launches + 2);
        Assert.Equal((uploads, downloads), (backend.Counters.Uploads, backend.Counters.Downloads));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(33)]
    [InlineData(257)]
    public void Floats_go_up_and_come_down_in_every_type(int count)
    {
        using Backend backend = device.Strictest.Open();
        using OpBench bench = new(backend);
        float[] values = Array.ConvertAll(bench.Random("values", count, 100), v => (float)Math.Round(v * 4) / 4); // exact in 16 bits
        foreach (ElementType type in s_floats.Append(backend.ActivationType))
        {
            Tensor tensor = bench.Output(count, type);
            backend.Upload(tensor, Array.ConvertAll(values, v => type == ElementType.BF16 ? MathF.Round(v) : v));
            float[] back = new float[count];
            backend.Download(back, tensor);
            Assert.Equal(Array.ConvertAll(values, v => type == ElementType.BF16 ? MathF.Round(v) : v), back);
        }

        bench.Check();
    }

    [Fact]
    public void A_download_reads_rows_that_lie_apart()
    {
        using Backend backend = device.Strictest.Open();
        using OpBench bench = new(backend);
        double[] values = bench.Random("values", 35);
        Tensor tensor = bench.Input(values, [7, 5], gap: 3);
        float[] back = new float[35];
        backend.Download(back, tensor);
        Assert.Equal(Array.ConvertAll(values, v => (float)v), back);
        float[] column = new float[14];
        backend.Download(column, tensor.SliceColumns(2, 2));
        Assert.Equal([.. Enumerable.Range(0, 14).Select(i => (float)values[(i / 2 * 5) + 2 + (i % 2)])], column);
    }

    [Fact]
    public void Integers_come_down_as_floats()
    {
        using Backend backend = device.Strictest.Open();
        using OpBench bench = new(backend);
        Tensor tensor = bench.Output(4, ElementType.I32);
        backend.Upload(tensor, [0, -7, 123456, 1]);
        float[] back = new float[4];
        backend.Download(back, tensor);
        Assert.Equal([0, -7, 123456, 1], back);
    }

    [Fact]
    public void Copies_that_do_not_fit_are_refused()
    {
        using Backend backend = device.Strictest.Open();
        using OpBench bench = new(backend);
        Tensor whole = bench.Output([3, 4]);
        Tensor apart = bench.Output([3, 4], gap: 1);
        Tensor integers = bench.Output(12, ElementType.I32);
        Action[] misfits =
        [
            () => backend.Upload(whole, new float[11]),
            () => backend.Upload(apart, new float[12]),
            () => backend.Upload(integers, new float[12]),
            () => backend.Upload(whole, new int[12]),
            () => backend.Upload(integers, new int[13]),
            () => backend.UploadBytes(whole, new byte[13]),
            () => backend.UploadBytes(apart, new byte[12 * backend.ActivationType.Size()]),
            () => backend.Download(new float[11], whole),
            () => backend.DownloadBytes(new byte[12], whole),
            () => backend.DownloadBytes(new byte[12 * backend.ActivationType.Size()], apart),
        ];
        Assert.All(misfits, misfit => Assert.ThrowsAny<ArgumentException>(misfit));
        bench.Check();
    }

    /// <summary>Each misfit would read or write memory that is not the tensors'.</summary>
    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        using Backend backend = device.Strictest.Open();
        using OpBench b = new(backend);
        Tensor T(params ReadOnlySpan<int> shape) => b.InOut(new double[Dvp.Engine.IO.TensorShape.Count(shape)], shape);
        Tensor S(params ReadOnlySpan<int> shape) => b.Lasting(new double[Dvp.Engine.IO.TensorShape.Count(shape)], shape);
        Tensor I(int count) => b.Input(new int[count], count);
        ParameterBlock P(params ReadOnlySpan<int> shape) => new(S(shape), S(shape));
        NormState state = new(T(3, 8), S(3), S(3));
        AttentionOptions attention = new(2, 2, 1);
        PromptAttentionState prompt = new(S(2, 1, 2 * 6), S(2, 2, 1, 5), S(2, 1, 2 * 6), S(2, 1, 2));
        AdapterParameters adapter = new(P(2, 8), P(2), P(8, 2), P(8), Activation.Relu);
        Action[] misfits =
        [
            () => backend.Copy(T(3, 8), T(3, 7)),
            () => backend.Add(T(3, 8), T(4, 8)),
            () => backend.DropoutApply(T(3, 8), T(2, 8), new Dropout(0.1f, 0, I(4)), false),
            () => backend.LinearForward(T(3, 4), null, T(3, 8), P(4, 7), null, Activation.None, null),
            () => backend.LinearForward(T(3, 4), null, T(2, 8), P(4, 8), null, Activation.None, null),
            () => backend.LinearForward(T(3, 4), null, T(3, 8), P(4, 8), P(3), Activation.None, null),
            () => backend.LinearForward(T(3, 4), null, T(3, 8), P(4, 8), null, Activation.None, T(2, 4)),
            () => backend.LinearForward(T(3, 4), T(3, 3), T(3, 8), P(4, 8), null, Activation.None, null),
            () => backend.LinearBackwardInput(T(3, 8), T(3, 5), P(4, 8), false),
            () => backend.LinearBackwardParameters(S(4, 7), null, T(3, 4), T(3, 8)),
            () => backend.LinearBackwardParameters(S(4, 8), S(5), T(3, 4), T(3, 8)),
            () => backend.ActivationForward(T(3, 8), T(3, 9), Activation.Relu),
            () => backend.ActivationBackward(T(3, 8), T(3, 8), T(2, 8), Activation.Relu),
            () => backend.AdapterForward(T(3, 8), T(3, 2), T(3, 3), T(3, 8), adapter),
            () => backend.AdapterForward(T(3, 9), T(3, 2), T(3, 2), T(3, 9), adapter),
            () => backend.LayerNormForward(state, T(3, 8), T(3, 8), null, P(7), P(8), 1e-5f),
            () => backend.LayerNormForward(state, T(3, 8), T(3, 8), T(2, 8), P(8), P(8), 1e-5f),
            () => backend.LayerNormForward(new NormState(T(3, 8), S(2), S(3)), T(3, 8), T(3, 8), null, P(8), P(8), 1e-5f),
            () => backend.LayerNormBackward(T(2, 8), T(3, 8), state, P(8), false),
            () => backend.LayerNormBackwardParameters(S(7), S(8), T(3, 8), state),
            () => backend.RmsNormForward(new NormState(T(3, 8), null, S(3)), T(3, 8), T(3, 9), null, P(8), 1e-6f),
            () => backend.AttentionForward(T(2, 3, 8), null, T(2, 3, 8), T(2, 5, 8), T(2, 4, 8), attention),
            () => backend.AttentionForward(T(2, 3, 8), null, T(2, 3, 8), T(1, 5, 8), T(1, 5, 8), attention),
            () => backend.AttentionForward(T(2, 3, 8), null, T(2, 3, 8), T(2, 5, 6), T(2, 5, 6), attention),
            () => backend.AttentionForward(T(2, 3, 8), null, T(2, 3, 8), T(2, 5, 8), T(2, 5, 8), attention with { KeyLengths = I(3) }),
            () => backend.AttentionForward(T(2, 3, 8), null, T(2, 3, 8), T(2, 5, 8), T(2, 5, 8), attention with { KeyMask = I(9) }),
            () => backend.AttentionForward(T(2, 3, 8), null, T(2, 3, 8), T(2, 5, 8), T(2, 5, 8), attention with { Bias = T(2, 3, 4) }),
            () => backend.PromptAttentionForward(prompt, T(2, 1, 4), T(2, 1, 4), T(2, 5, 7), P(4, 6), P(4, 6), P(4), 2, null),
            () => backend.PromptAttentionForward(prompt, T(2, 1, 4), T(2, 1, 4), T(2, 5, 6), P(4, 6), P(4, 6), P(3), 2, null),
            () => backend.EmbeddingForward(T(2, 3, 4), I(5), P(9, 4), null, null, null),
            () => backend.EmbeddingForward(T(2, 3, 4), I(6), P(9, 4), P(2, 4), null, null),
            () => backend.InsertPromptForward(T(2, 4, 8), T(2, 1, 8), T(2, 4, 8), null),
            () => backend.InsertPromptBackward(T(2, 3, 8), T(2, 2, 8), null, T(2, 4, 8), false),
            () => backend.InsertPromptBackward(null, null, S(2, 8), T(2, 4, 8), false), // how many are prompts?
            () => backend.VisionTokensForward(T(2, 4, 8), T(2, 4, 8), P(8), P(4, 8)),
            () => backend.MeanTokensForward(T(2, 7), T(2, 3, 8)),
            () => backend.ExtractPatches(T(1, 3, 12), T(1, 3, 4, 4), 2),
            () => backend.Rotary(T(2, 3, 8), T(2, 3, 8), I(5), 2, 10000, 1),
            () => backend.RelativeBiasForward(T(3, 4, 4), P(32, 2), true, 128),
            () => backend.GatedForward(T(3, 8), T(3, 8), T(3, 7), Activation.Silu),
            () => backend.SoftmaxCrossEntropy(S(1), null, T(3, 8), I(2), -100, 0, 1),
            () => backend.SoftmaxCrossEntropy(S(1), T(3, 7), T(3, 8), I(3), -100, 0, 1),
            () => backend.BceWithLogits(S(1), null, T(3, 8), T(2, 8), 1),
            () => backend.BceWithLogits(S(1), null, T(3, 8), T(3, 8), 1, S(2)),
            () => backend.SoftmaxCrossEntropy(S(1), null, T(3, 8), I(3), -100, 0, 1, S(3)),
            () => backend.GlobalNorm(S(1), [S(4)], S(2)),
            () => backend.UpdateLossScale(S(2), S(1), new LossScaleOptions(2, 0.5f, 10, 1, 1024)),
            () => backend.UpdateLossScale(S(3), S(2), new LossScaleOptions(2, 0.5f, 10, 1, 1024)),
        ];
        string[] wrong = [.. misfits.Select(Record.Exception).Select((e, i) => (e, i)).Where(m => m.e is not ArgumentException)
            .Select(m => $"{m.i}: {m.e?.GetType().Name ?? "accepted"}")];
        Assert.True(wrong.Length == 0, $"{backend.Name} does not refuse the misfits {string.Join(", ", wrong)}.");
    }
}

/// <summary>The oracle as a device.</summary>
public sealed class ReferenceContractTests() : DeviceContractTests(new ReferenceUnderTest())
{
    [Fact]
    public void Doubles_go_up_and_come_down_unrounded()
    {
        using ReferenceBackend device = new();
        using DeviceBuffer buffer = device.Allocate(64);
        Tensor tensor = new(buffer, 0, ElementType.F64, [4, 2]);
        double[] values = [Math.PI, 1e-300, -0.0, 1.0 / 3, double.MaxValue, 5e-324, -1e300, 0.1];
        device.Upload(tensor, values);
        double[] back = new double[8];
        device.Download(back, tensor);
        Assert.Equal(values, back);
    }
}

/// <summary>The processor as a device.</summary>
public sealed class CpuContractTests() : DeviceContractTests(new CpuUnderTest())
{
    [Theory]
    [InlineData(9)]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    public void Ids_and_labels_outside_their_tables_are_errors(int outside)
    {
        using Backend backend = new CpuBackend();
        using OpBench b = new(backend);
        (Tensor ids, Tensor bad) = (b.Input([0, 8, 3], 1, 3), b.Input([0, outside, 3], 1, 3));
        (Tensor y, ParameterBlock words) = (b.Output([1, 3, 4]), b.Parameter("words", [9, 4]));
        (Tensor dy, Tensor logits, Tensor loss) = (b.Input("dy", [1, 3, 4]), b.Input("logits", [3, 9]), b.Output([1]));
        Action[] readsOutside =
        [
            () => backend.EmbeddingForward(y, bad, words, null, null, null),
            () => backend.EmbeddingForward(y, ids, words, null, words, bad),
            () => backend.EmbeddingBackward(words.Gradient, null, null, dy, bad, null, -1),
            () => backend.SoftmaxCrossEntropy(loss, null, logits, bad.Reshape(3), -100, 0, 1),
        ];
        Assert.All(readsOutside, read => Assert.Contains(
            outside.ToString(CultureInfo.InvariantCulture), Assert.Throws<DvpException>(read).Message, StringComparison.Ordinal));
        b.Check();
    }

    /// <summary>Scenarios that together run every operator; the bench runs each operator twice and measures the second time.</summary>
    [Fact]
    public void A_warm_operator_allocates_nothing_on_the_managed_heap()
    {
        using Backend backend = new CpuBackend(2);
        SortedSet<string> allocating = new(StringComparer.Ordinal);
        int measured = 0;
        foreach (OpScenario scenario in OpScenarios.All.Values.Where(
            s => s.Name.Contains("33", StringComparison.Ordinal) || s.Name.StartsWith("AdamW", StringComparison.Ordinal)))
        {
            using OpBench bench = new(backend) { MeasureAllocations = true };
            scenario.Body(bench);
            foreach ((string op, long bytes) in bench.Allocations)
            {
                measured++;
                if (bytes > 0)
                {
                    allocating.Add($"{op}: {bytes} bytes");
                }
            }
        }

        Assert.True(measured > 100, $"Only {measured} operators were run.");
        Assert.True(allocating.Count == 0, string.Join(Environment.NewLine, allocating));
    }
}
