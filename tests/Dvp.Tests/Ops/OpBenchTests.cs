using Dvp.Engine.Tensors;
using Dvp.Tests.Oracle;
using Xunit;
using Xunit.Sdk;

namespace Dvp.Tests.Ops;

/// <summary>The bench finds what it is there to find.</summary>
public sealed class OpBenchTests
{
    [Fact]
    public void A_write_beyond_a_result_is_found()
    {
        using ReferenceBackend device = new();
        using OpBench bench = new(device);
        Tensor y = bench.Output([3, 5]);
        device.Fill(y, 1);
        bench.Check();
        device.Fill(new Tensor(y.Buffer, y.ByteOffset + (15 * sizeof(double)), y.Type, [1]), 1);
        Assert.Contains("A guard changed", Assert.ThrowsAny<XunitException>(bench.Check).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_write_into_the_gap_between_rows_is_found()
    {
        using ReferenceBackend device = new();
        using OpBench bench = new(device);
        Tensor y = bench.Output([3, 5], gap: 2);
        device.Fill(y, 1);
        bench.Check();
        device.Fill(new Tensor(y.Buffer, y.ByteOffset, y.Type, [3, 6], y.RowStride), 1);
        Assert.Contains("A guard changed", Assert.ThrowsAny<XunitException>(bench.Check).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_write_to_an_input_is_found()
    {
        using ReferenceBackend device = new();
        using OpBench bench = new(device);
        Tensor x = bench.Input([1.0, 2, 3], [3]);
        device.Fill(x, 7);
        Assert.Contains("An input changed", Assert.ThrowsAny<XunitException>(bench.Check).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Results_start_as_not_a_number_and_random_inputs_do_not_repeat()
    {
        using ReferenceBackend device = new();
        using OpBench bench = new(device);
        Assert.All(bench.Values(bench.Output([7])), v => Assert.True(double.IsNaN(v)));
        double[] first = bench.Random("x", 100), second = bench.Random("x", 100);
        Assert.NotEqual(first, second);
        using OpBench other = new(device);
        Assert.Equal(first, other.Random("x", 100));
        Assert.True(first.Distinct().Count() > 90);
    }
}
