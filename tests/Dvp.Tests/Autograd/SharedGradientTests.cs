using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Autograd;

/// <summary>
/// Variables with several readers: contributions to one gradient are added in the order of the backward pass, and memory that two
/// gradients share is never written while the other still reads it.
/// </summary>
public sealed class SharedGradientTests
{
    [Fact]
    public void Three_readers_of_one_variable()
    {
        using GradientBench bench = new();
        Graph graph = bench.Graph;
        Variable x = graph.Linear(bench.Leaf(2, 3, 4), bench.Parameter(true, 4, 4), null, Activation.Tanh);
        Variable a = graph.Linear(x, bench.Parameter(true, 4, 4), bench.Parameter(true, 4), Activation.GeluErf);
        Variable b = graph.MeanTokens(x);
        Variable c = graph.LayerNorm(a, x, bench.Parameter(true, 4), bench.Parameter(true, 4), 1e-5f);
        bench.Check(c, b);
    }

    [Fact]
    public void Terms_of_a_sum_that_are_both_read_again()
    {
        foreach (bool before in (bool[])[true, false])
        {
            using GradientBench bench = new();
            Graph graph = bench.Graph;
            Variable x = graph.Linear(bench.Leaf(2, 3, 4), bench.Parameter(true, 4, 4), null);
            Variable z = graph.Linear(bench.Leaf(2, 3, 4), bench.Parameter(true, 4, 4), null);
            Variable first = before ? graph.Linear(x, bench.Parameter(true, 4, 4), null) : x;
            Variable second = before ? graph.MeanTokens(z) : z;
            Variable sum = graph.Add(x, z);
            Variable third = before ? sum : graph.Linear(x, bench.Parameter(true, 4, 4), null);
            Variable fourth = before ? sum : graph.MeanTokens(z);
            bench.Check([sum, .. new[] { first, second, third, fourth }.Where(v => v != sum && v != x && v != z)]);
        }
    }

    [Fact]
    public void A_sum_whose_terms_share_a_gradient_and_go_through_activations()
    {
        using GradientBench bench = new();
        Graph graph = bench.Graph;
        Variable u = bench.Leaf(3, 4);
        Variable x = graph.Linear(u, bench.Parameter(true, 4, 4), null, Activation.GeluErf); // works on its gradient in place
        Variable z = graph.Linear(u, bench.Parameter(true, 4, 4), null, Activation.Silu);
        bench.Check(graph.LayerNorm(x, z, bench.Parameter(true, 4), bench.Parameter(true, 4), 1e-5f));
    }

    [Fact]
    public void A_reshaped_term_of_a_sum_with_another_reader_below()
    {
        using GradientBench bench = new();
        Graph graph = bench.Graph;
        Variable v = graph.Linear(bench.Leaf(3, 4), bench.Parameter(true, 4, 4), null);
        Variable other = graph.Linear(v, bench.Parameter(true, 5, 4), null);
        Variable r = graph.Reshape(graph.Linear(bench.Leaf(3, 4), bench.Parameter(true, 4, 4), null, Activation.Tanh), 1, 3, 4);
        Variable sum = graph.Add(graph.Reshape(v, 1, 3, 4), r);
        bench.Check(sum, other);
    }

    [Fact]
    public void A_reshaped_term_of_a_sum_that_works_in_place()
    {
        using GradientBench bench = new();
        Graph graph = bench.Graph;
        Variable r = graph.Linear(bench.Leaf(3, 4), bench.Parameter(true, 4, 4), null);
        Variable v = graph.Linear(bench.Leaf(3, 4), bench.Parameter(true, 4, 4), null, Activation.Tanh);
        bench.Check(graph.Add(graph.Reshape(v, 1, 3, 4), graph.Reshape(r, 1, 3, 4)));
    }

    [Fact]
    public void A_variable_added_to_itself()
    {
        using GradientBench bench = new();
        Graph graph = bench.Graph;
        Variable x = graph.Linear(bench.Leaf(3, 4), bench.Parameter(true, 4, 4), null);
        Variable doubled = graph.Add(x, x);
        bench.Check(graph.LayerNorm(doubled, doubled, bench.Parameter(true, 4), bench.Parameter(true, 4), 1e-5f));
    }

    [Fact]
    public void A_chain_of_sums_as_in_a_residual_stream()
    {
        using GradientBench bench = new();
        Graph graph = bench.Graph;
        Variable h = bench.Leaf(2, 3, 4);
        for (int layer = 0; layer < 3; layer++)
        {
            Variable n = graph.RmsNorm(h, bench.Parameter(true, 4), 1e-6f);
            h = graph.Add(h, graph.Linear(n, bench.Parameter(true, 4, 4), null, Activation.Silu));
        }

        bench.Check(h);
    }

    [Fact]
    public void A_graph_without_anything_to_train_records_no_backward_pass()
    {
        using GradientBench bench = new();
        Variable y = bench.Graph.Linear(bench.Constant(2, 3), bench.Parameter(false, 3, 3), null);
        bench.Graph.Backward();
        Assert.False(y.NeedsGradient);
        Assert.Equal(1, bench.Graph.Operators);
        Assert.Empty(bench.Graph.Trained);
    }

    [Fact]
    public void A_backward_pass_is_recorded_once_and_only_for_training()
    {
        using GradientBench bench = new();
        Variable y = bench.Graph.Linear(bench.Leaf(2, 3), bench.Parameter(true, 3, 3), null);
        bench.Graph.Cotangent(y, bench.Constant(2, 3));
        bench.Graph.Backward();
        Assert.Throws<InvalidOperationException>(bench.Graph.Backward);
        using Arena arena = new(bench.Device);
        Assert.Throws<InvalidOperationException>(new Graph(bench.Device, arena, training: false).Backward);
    }
}
