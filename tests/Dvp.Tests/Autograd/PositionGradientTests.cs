using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Autograd;

/// <summary>The operators that T5 and LLaMA add, positions and gates, against central differences in double precision.</summary>
public sealed class PositionGradientTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void One_bias_serves_several_attentions(bool dropout)
    {
        using GradientBench bench = new(dropout);
        Graph graph = bench.Graph;
        AttentionOptions options = new(3, 3, Scale: 1);
        Variable bias = graph.RelativeBias(bench.Parameter(true, 8, 3), 4, 4, bidirectional: true, maxDistance: 20);
        Variable first = graph.SelfAttention(bench.Leaf(2, 4, 18), options, 0.2f, bias);
        Variable second = graph.SelfAttention(bench.Leaf(2, 4, 18), options, 0.2f, bias);
        Variable row = graph.Reshape(graph.Contiguous(graph.Token(bias, 3)), 3, 1, 4);
        Variable last = graph.Attention(bench.Leaf(2, 1, 6), bench.Leaf(2, 4, 12), options, 0.2f, row);
        bench.Check(first, second, last);
    }

    [Fact]
    public void A_bias_alone_trains()
    {
        using GradientBench bench = new();
        Variable bias = bench.Graph.RelativeBias(bench.Parameter(true, 4, 2), 5, 5, bidirectional: false, maxDistance: 9);
        bench.Check(bench.Graph.SelfAttention(bench.Constant(2, 5, 12), new AttentionOptions(2, 2, Scale: 1, Causal: true), 0, bias));
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public void Turned_self_attention_with_grouped_heads(int keyHeads, bool scaled)
    {
        using GradientBench bench = new();
        Variable qkv = Product(bench, (4 + (2 * keyHeads)) * 4, 2, 3);
        Tensor positions = bench.Integers([0, 1, 2, 5, 6, 9], 2, 3).Value;
        Rotation rotation = new(positions, 100, scaled ? bench.Graph.Numbers([0.7f, 0.1f]) : null);
        bench.Check(bench.Graph.SelfAttention(
            qkv, new AttentionOptions(4, keyHeads, 0.5f, Causal: true), dropoutRate: 0, rotation: rotation));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Turned_attention_of_one_query(bool queries, bool keys)
    {
        using GradientBench bench = new();
        Variable q = Product(bench, 8, 2, 1);
        Variable kv = Product(bench, 8, 2, 3);
        Rotation own = new(bench.Integers([2, 1], 2).Value, 100);
        Rotation all = new(bench.Integers([0, 1, 2, 0, 1, 2], 2, 3).Value, 100);
        Tensor lengths = bench.Integers([3, 2], 2).Value;
        bench.Check(bench.Graph.Attention(
            q, kv, new AttentionOptions(2, 1, 0.5f, KeyLengths: lengths), 0, null, queries ? own : null, keys ? all : null));
    }

    [Theory]
    [InlineData(Activation.Silu)]
    [InlineData(Activation.GeluTanh)]
    public void Gated(Activation activation)
    {
        using GradientBench bench = new();
        bench.Check(bench.Graph.Gated(bench.Leaf(2, 3, 10), activation));
    }

    [Fact]
    public void Scale()
    {
        using GradientBench bench = new();
        bench.Check(bench.Graph.Scale(bench.Leaf(2, 3, 4), 0.37f));
    }

    [Fact]
    public void A_residual_stream_whose_last_layer_reads_one_row()
    {
        using GradientBench bench = new();
        Graph graph = bench.Graph;
        Variable h = bench.Leaf(2, 3, 4);
        Variable n = graph.RmsNorm(h, bench.Parameter(true, 4), 1e-6f);
        Variable rows = bench.Integers([1, 5], 2);
        Variable own = graph.Linear(graph.Gather(graph.Reshape(n, 6, 4), rows), bench.Parameter(true, 4, 4), null);
        Variable others = graph.MeanTokens(graph.Linear(n, bench.Parameter(true, 4, 4), null));
        Variable stream = graph.Gather(graph.Reshape(h, 6, 4), rows);
        bench.Check(graph.RmsNorm(graph.Add(graph.Add(stream, own), others), bench.Parameter(true, 4), 1e-6f));
    }

    /// <summary>A product, since turning works in place and would turn a leaf itself.</summary>
    private static Variable Product(GradientBench bench, int columns, int batch, int tokens) =>
        bench.Graph.Linear(bench.Leaf(batch, tokens, 3), bench.Parameter(true, columns, 3), null);
}
