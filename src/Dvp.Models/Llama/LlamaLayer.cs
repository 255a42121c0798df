using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.Llama;

/// <summary>The adapters of one LLaMA layer.</summary>
/// <param name="Attention">Adapter 2i, after the attention's output projection.</param>
/// <param name="FeedForward">Adapter 2i + 1, after the feed-forward part.</param>
public sealed record LlamaLayerAdapters(AdapterParameters Attention, AdapterParameters FeedForward);

/// <summary>Which row of every sequence is read after the last layer.</summary>
/// <param name="Rows">I32 (B), its number among all B T rows</param>
/// <param name="Positions">I32 (B), its position in the sequence</param>
/// <param name="Lengths">I32 (B), position + 1: the keys that it sees</param>
public sealed record LlamaReadRows(Tensor Rows, Tensor Positions, Tensor Lengths);

/// <summary>
/// One pre-norm decoder layer: h + A(o(attention(norm(h)))), then h + A(down(silu(gate(norm(h))) * up(norm(h)))), A being an adapter or
/// nothing; query and key heads turned by their positions, groups of query heads sharing a key head.
/// </summary>
public sealed class LlamaLayer
{
    private readonly LlamaConfig _config;
    private readonly ParameterBlock _inputNorm;
    private readonly ParameterBlock _qkv;
    private readonly ParameterBlock _output;
    private readonly ParameterBlock _innerNorm;
    private readonly ParameterBlock _gateUp;
    private readonly ParameterBlock _down;
    private readonly int _queryChannels;
    private readonly int _keyChannels;

    internal LlamaLayer(LlamaConfig config, ParameterBuilder parameters)
    {
        _config = config;
        int c = config.HiddenSize;
        _queryChannels = config.Heads * config.HeadSize;
        _keyChannels = config.KeyHeads * config.HeadSize;
        ParameterBuilder attention = parameters["self_attn"];
        _qkv = attention.StackedMatrix(
            ["q_proj.weight", "k_proj.weight", "v_proj.weight"], [_queryChannels, _keyChannels, _keyChannels], c);
        _output = attention.Matrix("o_proj.weight", c, _queryChannels);
        ParameterBuilder mlp = parameters["mlp"];
        _gateUp = mlp.StackedMatrix(["gate_proj.weight", "up_proj.weight"], config.IntermediateSize, c);
        _down = mlp.Matrix("down_proj.weight", c, config.IntermediateSize);
        _inputNorm = parameters.Vector("input_layernorm.weight", c);
        _innerNorm = parameters.Vector("post_attention_layernorm.weight", c);
    }

    /// <summary>Records the layer for all tokens.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, T, C)</param>
    /// <param name="mask">I32 (B, T), 0 hides a key</param>
    /// <param name="positions">Positions of the B T rows.</param>
    /// <param name="adapters">The layer's adapters, or null.</param>
    /// <returns>(B, T, C)</returns>
    public Variable Forward(Graph graph, Variable h, Tensor? mask, Rotation positions, LlamaLayerAdapters? adapters)
    {
        Variable n = graph.RmsNorm(h, _inputNorm, _config.NormEpsilon);
        Variable context = graph.SelfAttention(
            graph.Linear(n, _qkv, null), Options(causal: true, mask), dropoutRate: 0, rotation: positions);
        return FeedForward(graph, ResidualStream.Add(graph, h, context, _output, adapters?.Attention), adapters);
    }

    /// <summary>Records the layer for the one row of every sequence that is read later: keys and values for all, the rest for that row.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, T, C)</param>
    /// <param name="mask">I32 (B, T), 0 hides a key</param>
    /// <param name="positions">Positions of the B T rows.</param>
    /// <param name="adapters">The layer's adapters, or null.</param>
    /// <param name="read">The rows.</param>
    /// <returns>(B, C)</returns>
    public Variable ForwardOneRow(
        Graph graph, Variable h, Tensor? mask, Rotation positions, LlamaLayerAdapters? adapters, LlamaReadRows read)
    {
        (int batch, int tokens, int c) = (h.Value.Extent(0), h.Value.Extent(1), _config.HiddenSize);
        Variable rows = graph.Constant(read.Rows);
        Variable n = graph.RmsNorm(h, _inputNorm, _config.NormEpsilon);
        Variable own = graph.Gather(graph.Reshape(n, batch * tokens, c), rows);
        Variable q = graph.Reshape(graph.Linear(own, _qkv.Outputs(0, _queryChannels), null), batch, 1, _queryChannels);
        Variable kv = graph.Linear(n, _qkv.Outputs(_queryChannels, 2 * _keyChannels), null);
        Variable context = graph.Attention(
            q, kv, Options(causal: false, mask) with { KeyLengths = read.Lengths }, dropoutRate: 0,
            queryRotation: positions with { Positions = read.Positions }, keyRotation: positions);
        Variable stream = graph.Gather(graph.Reshape(h, batch * tokens, c), rows);
        context = graph.Reshape(context, batch, _queryChannels);
        return FeedForward(graph, ResidualStream.Add(graph, stream, context, _output, adapters?.Attention), adapters);
    }

    private AttentionOptions Options(bool causal, Tensor? mask) =>
        new(_config.Heads, _config.KeyHeads, 1 / MathF.Sqrt(_config.HeadSize), causal, mask);

    private Variable FeedForward(Graph graph, Variable h, LlamaLayerAdapters? adapters)
    {
        Variable n = graph.RmsNorm(h, _innerNorm, _config.NormEpsilon);
        Variable f = graph.Gated(graph.Linear(n, _gateUp, null), _config.Activation);
        return ResidualStream.Add(graph, h, f, _down, adapters?.FeedForward);
    }
}
