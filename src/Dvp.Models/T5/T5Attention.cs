using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.T5;

/// <summary>h + A(o(attention(norm(h)))) over the tokens of one stack. Scores are not divided by the root of the head size.</summary>
internal sealed class T5SelfAttention
{
    private readonly T5Config _config;
    private readonly ParameterBlock _norm;
    private readonly ParameterBlock _qkv;
    private readonly ParameterBlock _output;

    public T5SelfAttention(T5Config config, ParameterBuilder parameters)
    {
        _config = config;
        int inner = config.Heads * config.HeadSize;
        ParameterBuilder attention = parameters["SelfAttention"];
        _qkv = attention.StackedMatrix(["q.weight", "k.weight", "v.weight"], inner, config.HiddenSize);
        _output = attention.Matrix("o.weight", config.HiddenSize, inner);
        _norm = parameters.Vector("layer_norm.weight", config.HiddenSize);
    }

    /// <summary>Records it for all tokens (B, T, C).</summary>
    public Variable Forward(Graph graph, Variable h, Tensor? mask, Variable? bias, bool causal, AdapterParameters? adapter)
    {
        Variable n = graph.RmsNorm(h, _norm, _config.NormEpsilon);
        AttentionOptions options = new(_config.Heads, _config.Heads, Scale: 1, causal, mask);
        Variable context = graph.SelfAttention(graph.Linear(n, _qkv, null), options, _config.Dropout, bias);
        return ResidualStream.Add(graph, h, context, _output, adapter, _config.Dropout);
    }

    /// <summary>Records it for the last token (B, C), which sees all others.</summary>
    public Variable ForwardLast(Graph graph, Variable h, Variable? bias, AdapterParameters? adapter)
    {
        (int batch, int last) = (h.Value.Extent(0), h.Value.Extent(1) - 1);
        int inner = _config.Heads * _config.HeadSize;
        Variable n = graph.RmsNorm(h, _norm, _config.NormEpsilon);
        Variable q = graph.Linear(graph.Token(n, last), _qkv.Outputs(0, inner), null);
        Variable kv = graph.Linear(n, _qkv.Outputs(inner, 2 * inner), null);
        Variable? own = bias is null ? null
            : graph.Reshape(graph.Contiguous(graph.Token(bias, last)), _config.Heads, 1, last + 1);
        AttentionOptions options = new(_config.Heads, _config.Heads, Scale: 1);
        Variable context = graph.Attention(graph.Reshape(q, batch, 1, inner), kv, options, _config.Dropout, own);
        return ResidualStream.Add(
            graph, graph.Token(h, last), graph.Reshape(context, batch, inner), _output, adapter, _config.Dropout);
    }
}

/// <summary>h + A(o(attention(norm(h), encoder output))), without positions.</summary>
internal sealed class T5CrossAttention
{
    private readonly T5Config _config;
    private readonly ParameterBlock _norm;
    private readonly ParameterBlock _q;
    private readonly ParameterBlock _kv;
    private readonly ParameterBlock _output;

    public T5CrossAttention(T5Config config, ParameterBuilder parameters)
    {
        _config = config;
        int inner = config.Heads * config.HeadSize;
        ParameterBuilder attention = parameters["EncDecAttention"];
        _q = attention.Matrix("q.weight", inner, config.HiddenSize);
        _kv = attention.StackedMatrix(["k.weight", "v.weight"], inner, config.HiddenSize);
        _output = attention.Matrix("o.weight", config.HiddenSize, inner);
        _norm = parameters.Vector("layer_norm.weight", config.HiddenSize);
    }

    /// <summary>Records it for all tokens (B, Td, C), or for one of each sequence (B, C).</summary>
    public Variable Forward(Graph graph, Variable h, Variable encoder, Tensor? mask, AdapterParameters? adapter)
    {
        int batch = encoder.Value.Extent(0);
        int inner = _config.Heads * _config.HeadSize;
        Variable q = graph.Linear(graph.RmsNorm(h, _norm, _config.NormEpsilon), _q, null);
        q = graph.Reshape(q, batch, h.Value.Rows / batch, inner);
        AttentionOptions options = new(_config.Heads, _config.Heads, Scale: 1, KeyMask: mask);
        Variable context = graph.Attention(q, graph.Linear(encoder, _kv, null), options, _config.Dropout);
        int[] shape = [.. h.Value.Shape];
        shape[^1] = inner;
        return ResidualStream.Add(graph, h, graph.Reshape(context, shape), _output, adapter, _config.Dropout);
    }
}

/// <summary>h + A(wo(relu(wi(norm(h))))), or wo(gelu(wi_0(norm(h))) * wi_1(norm(h))) in v1.1.</summary>
internal sealed class T5FeedForward
{
    private readonly T5Config _config;
    private readonly ParameterBlock _norm;
    private readonly ParameterBlock _inner;
    private readonly ParameterBlock _output;

    public T5FeedForward(T5Config config, ParameterBuilder parameters)
    {
        _config = config;
        ParameterBuilder dense = parameters["DenseReluDense"];
        _inner = config.Gated
            ? dense.StackedMatrix(["wi_0.weight", "wi_1.weight"], config.IntermediateSize, config.HiddenSize)
            : dense.Matrix("wi.weight", config.IntermediateSize, config.HiddenSize);
        _output = dense.Matrix("wo.weight", config.HiddenSize, config.IntermediateSize);
        _norm = parameters.Vector("layer_norm.weight", config.HiddenSize);
    }

    /// <summary>Records it for (..., C).</summary>
    public Variable Forward(Graph graph, Variable h, AdapterParameters? adapter)
    {
        Variable n = graph.RmsNorm(h, _norm, _config.NormEpsilon);
        Variable f = _config.Gated
            ? graph.Gated(graph.Linear(n, _inner, null), _config.Activation)
            : graph.Linear(n, _inner, null, _config.Activation);
        return ResidualStream.Add(graph, h, graph.Dropout(f, _config.Dropout), _output, adapter, _config.Dropout);
    }
}
