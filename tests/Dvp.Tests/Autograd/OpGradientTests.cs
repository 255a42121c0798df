using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Autograd;

/// <summary>Every differentiable operator of a graph against central differences in double precision.</summary>
public sealed class OpGradientTests
{
    public static TheoryData<Activation> Activations => new(Enum.GetValues<Activation>());

    [Theory]
    [MemberData(nameof(Activations))]
    public void Linear(Activation activation)
    {
        foreach (bool residual in (bool[])[false, true])
        {
            foreach (bool bias in (bool[])[false, true])
            {
                using GradientBench bench = new();
                Variable x = bench.Leaf(2, 3, 5);
                Variable? r = residual ? bench.Leaf(2, 3, 4) : null;
                bench.Check(bench.Graph.Linear(
                    x, bench.Parameter(true, 4, 5), bias ? bench.Parameter(true, 4) : null, activation, r));
            }
        }
    }

    [Fact]
    public void Linear_computes_only_what_leads_to_something_trainable()
    {
        using GradientBench bench = new();
        Variable x = bench.Leaf(3, 5);
        Variable below = bench.Graph.Linear(bench.Constant(3, 5), bench.Parameter(false, 5, 5), bench.Parameter(false, 5));
        Assert.False(below.NeedsGradient);
        Variable frozen = bench.Graph.Linear(x, bench.Parameter(false, 4, 5), bench.Parameter(false, 4), Activation.GeluErf);
        ParameterBlock weight = bench.Parameter(true, 4, 5);
        Variable onlyWeight = bench.Graph.Linear(below, weight, bench.Parameter(false, 4));
        bench.Check(frozen, onlyWeight);
        Assert.Null(below.Gradient);
        Assert.Equal([weight], bench.Graph.Trained);

        // A bias alone would be passed over in silence.
        Assert.Throws<ArgumentException>(() => bench.Graph.Linear(x, bench.Parameter(false, 4, 5), bench.Parameter(true, 4)));
    }

    [Fact]
    public void Linear_through_some_outputs_of_a_stacked_weight()
    {
        using GradientBench bench = new();
        Variable x = bench.Leaf(2, 3, 4);
        ParameterBlock weight = bench.Parameter(true, 6, 4);
        ParameterBlock bias = bench.Parameter(true, 6);
        Variable first = bench.Graph.Linear(bench.Graph.Token(x, 1), weight.Outputs(0, 2), bias.Outputs(0, 2));
        Variable rest = bench.Graph.Linear(x, weight.Outputs(2, 4), bias.Outputs(2, 4));
        bench.Check(first, rest);
        Assert.Equal(2, bench.Graph.Trained.Count);
        Assert.Contains(weight, bench.Graph.Trained);
    }

    [Theory]
    [MemberData(nameof(Activations))]
    public void Activate(Activation activation)
    {
        using GradientBench bench = new();
        bench.Check(bench.Graph.Activate(bench.Leaf(3, 5), activation));
    }

    [Theory]
    [InlineData(Activation.Relu, true)]
    [InlineData(Activation.Relu, false)]
    [InlineData(Activation.Silu, true)]
    public void Adapter(Activation activation, bool input)
    {
        using GradientBench bench = new();
        AdapterParameters adapter = new(
            bench.Parameter(true, 2, 6), bench.Parameter(true, 2), bench.Parameter(true, 6, 2), bench.Parameter(true, 6), activation);
        bench.Check(bench.Graph.Adapter(input ? bench.Leaf(2, 3, 6) : bench.Constant(2, 3, 6), adapter));
    }

    [Theory]
    [InlineData(true, null)]
    [InlineData(false, null)]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void Layer_norm(bool inputNeeds, bool? residualNeeds)
    {
        using GradientBench bench = new();
        Variable x = inputNeeds ? bench.Leaf(2, 3, 7) : bench.Constant(2, 3, 7);
        Variable? r = residualNeeds is { } needs ? needs ? bench.Leaf(2, 3, 7) : bench.Constant(2, 3, 7) : null;
        bench.Check(bench.Graph.LayerNorm(x, r, bench.Parameter(true, 7), bench.Parameter(true, 7), 1e-5f));
    }

    [Fact]
    public void Layer_norm_of_one_token_in_place()
    {
        using GradientBench bench = new();
        Variable h = bench.Leaf(2, 3, 5);
        Variable row = bench.Graph.Token(h, 1); // rows 15 elements apart
        Variable x = bench.Graph.Linear(row, bench.Parameter(true, 5, 5), null);
        Variable normed = bench.Graph.LayerNorm(x, row, bench.Parameter(true, 5), bench.Parameter(true, 5), 1e-5f);
        Variable alone = bench.Graph.LayerNorm(row, null, bench.Parameter(false, 5), bench.Parameter(false, 5), 1e-5f);
        bench.Check(normed, alone);
    }

    [Fact]
    public void Rms_norm()
    {
        using GradientBench bench = new();
        Variable x = bench.Leaf(2, 3, 7);
        Variable trained = bench.Graph.RmsNorm(x, bench.Parameter(true, 7), 1e-6f);
        bench.Check(bench.Graph.RmsNorm(trained, bench.Parameter(false, 7), 1e-6f), trained);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Add(bool first, bool second)
    {
        using GradientBench bench = new();
        Variable x = first ? bench.Leaf(3, 4) : bench.Constant(3, 4);
        Variable z = second ? bench.Leaf(3, 4) : bench.Constant(3, 4);
        bench.Check(bench.Graph.Add(x, z));
    }

    [Fact]
    public void Dropout_drops_the_same_in_both_directions()
    {
        using GradientBench bench = new(dropout: true);
        Variable x = bench.Leaf(8, 8);
        Variable y = bench.Graph.Dropout(x, 0.5f);
        Variable z = bench.Graph.Dropout(x, 0.5f);
        bench.Check(y, z);
        Assert.InRange(bench.Values(y.Value).Count(v => v == 0), 10, 54);
        Assert.NotEqual(bench.Values(y.Value), bench.Values(z.Value)); // another site
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Self_attention(bool dropout, bool causal)
    {
        using GradientBench bench = new(dropout);
        Variable qkv = bench.Leaf(2, 4, 18);
        Tensor mask = bench.Integers([1, 1, 1, 1, 1, 1, 0, 0], 2, 4).Value;
        bench.Check(bench.Graph.SelfAttention(qkv, new AttentionOptions(3, 3, 0.7f, causal, KeyMask: mask), 0.3f));
    }

    [Theory]
    [InlineData(true, true, false)]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, true, true)]
    public void Attention(bool queries, bool keys, bool dropout)
    {
        using GradientBench bench = new(dropout);
        Variable q = queries ? bench.Leaf(2, 2, 8) : bench.Constant(2, 2, 8);
        Variable kv = keys ? bench.Leaf(2, 5, 8) : bench.Constant(2, 5, 8); // two key heads for four query heads
        Tensor lengths = bench.Integers([5, 3], 2).Value;
        bench.Check(bench.Graph.Attention(q, kv, new AttentionOptions(4, 2, 0.6f, KeyLengths: lengths), 0.3f));
    }

    [Theory]
    [InlineData(true, true, true, false)]
    [InlineData(true, false, true, true)]
    [InlineData(false, true, true, false)]
    [InlineData(true, true, false, false)]
    public void Prompt_attention(bool query, bool picture, bool parameters, bool dropout)
    {
        using GradientBench bench = new(dropout);
        Variable q = query ? bench.Leaf(2, 2, 6) : bench.Constant(2, 2, 6);
        Variable x = picture ? bench.Leaf(2, 5, 4) : bench.Constant(2, 5, 4);
        (Variable context, _) = bench.Graph.PromptAttention(
            q, x, bench.Parameter(parameters, 6, 4), bench.Parameter(parameters, 6, 4), bench.Parameter(parameters, 6), 3, 0.3f);
        bench.Check(context);
    }

    [Fact]
    public void Prompt_attention_with_some_frozen_parameters()
    {
        using GradientBench bench = new();
        Variable q = bench.Leaf(2, 1, 6);
        ParameterBlock key = bench.Parameter(true, 6, 4);
        (Variable context, _) = bench.Graph.PromptAttention(
            q, bench.Constant(2, 5, 4), key, bench.Parameter(false, 6, 4), bench.Parameter(false, 6), 2, 0);
        bench.Check(context);
        Assert.Equal([key], bench.Graph.Trained);
    }

    [Theory]
    [InlineData(-1, true)]
    [InlineData(2, true)]
    [InlineData(-1, false)]
    public void Embedding(int padding, bool words)
    {
        using GradientBench bench = new();
        Variable ids = bench.Integers([0, 2, 2, 1, 3, 2], 2, 3);
        Variable types = bench.Integers([0, 1, 1, 0, 0, 1], 2, 3);
        ParameterBlock table = bench.Parameter(words && padding < 0, 4, 5);
        bench.Check(bench.Graph.Embedding(ids, table, bench.Parameter(true, 4, 5), bench.Parameter(true, 2, 5), types, padding));
    }

    [Fact]
    public void Embedding_gives_padding_no_gradient()
    {
        using GradientBench bench = new();
        ParameterBlock words = new(bench.Random(3, 2), bench.Random(3, 2));
        bench.Device.Fill(words.Gradient!, 0);
        Variable y = bench.Graph.Embedding(bench.Integers([0, 1, 2, 2], 1, 4), words, null, null, null, paddingIndex: 2);
        Variable weights = bench.Constant(1, 4, 2);
        bench.Graph.Cotangent(y, weights);
        bench.Graph.Backward();
        bench.Graph.RunForward();
        bench.Graph.RunBackward();
        double[] expected = [.. bench.Values(weights.Value)[..4], 0, 0];
        Assert.Equal(expected, bench.Values(words.Gradient!));
    }

    [Theory]
    [InlineData(true, true, true)]
    [InlineData(true, false, false)]
    [InlineData(false, true, true)]
    [InlineData(false, false, true)]
    public void Insert_prompt(bool prompt, bool text, bool types)
    {
        using GradientBench bench = new();
        Variable p = prompt ? bench.Leaf(2, 2, 3) : bench.Constant(2, 2, 3);
        Variable t = text ? bench.Leaf(2, 3, 3) : bench.Constant(2, 3, 3);
        bench.Check(bench.Graph.InsertPrompt(p, t, types ? bench.Parameter(true, 2, 3) : null));
    }

    [Fact]
    public void Gather_with_rows_read_twice_and_never()
    {
        using GradientBench bench = new();
        Variable x = bench.Leaf(3, 2, 4);
        bench.Check(bench.Graph.Gather(x, bench.Integers([2, 0, 2, 2], 4)), x);
    }

    [Fact]
    public void Token_alone_and_beside_other_readers()
    {
        using (GradientBench bench = new())
        {
            bench.Check(bench.Graph.Token(bench.Leaf(2, 3, 4), 2));
        }

        using (GradientBench bench = new())
        {
            Variable x = bench.Leaf(2, 3, 4);
            bench.Check(bench.Graph.Token(x, 0), x, bench.Graph.Token(x, 2), bench.Graph.Token(x, 0));
        }
    }

    [Fact]
    public void Reshape_and_mean_tokens()
    {
        using GradientBench bench = new();
        Variable x = bench.Leaf(2, 3, 4);
        Variable flat = bench.Graph.Reshape(x, 6, 4);
        Variable mean = bench.Graph.MeanTokens(x);
        bench.Check(flat, bench.Graph.Reshape(mean, 2, 1, 4), bench.Graph.Reshape(bench.Graph.Token(x, 1), 2, 1, 4));
    }

    [Fact]
    public void Cross_entropy()
    {
        using GradientBench bench = new();
        Variable logits = bench.Leaf(4, 5);
        bench.Check(bench.Graph.CrossEntropy(logits, bench.Integers([1, 4, -100, 0], 4), scale: 0.5f));
    }

    [Fact]
    public void Binary_cross_entropy()
    {
        using GradientBench bench = new();
        bench.Check(bench.Graph.BinaryCrossEntropy(bench.Leaf(4, 5), bench.Constant(4, 5), scale: 0.25f));
    }
}
