using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.Bert;

/// <summary>The adapters of one BERT layer: after the attention's output projection and after the feed-forward's.</summary>
/// <param name="Attention">Adapter 2i.</param>
/// <param name="FeedForward">Adapter 2i + 1.</param>
public sealed record BertLayerAdapters(AdapterParameters Attention, AdapterParameters FeedForward);

/// <summary>
/// One post-norm encoder layer: a = LN(h + A(dense(attention(h)))), h' = LN(a + A(dense(gelu(dense(a))))), A being an adapter or nothing.
/// </summary>
public sealed class BertLayer
{
    private readonly BertConfig _config;
    private readonly ParameterBlock _qkv;
    private readonly ParameterBlock _qkvBias;
    private readonly ParameterBlock _attentionOutput;
    private readonly ParameterBlock _attentionOutputBias;
    private readonly ParameterBlock _attentionGamma;
    private readonly ParameterBlock _attentionBeta;
    private readonly ParameterBlock _intermediate;
    private readonly ParameterBlock _intermediateBias;
    private readonly ParameterBlock _output;
    private readonly ParameterBlock _outputBias;
    private readonly ParameterBlock _outputGamma;
    private readonly ParameterBlock _outputBeta;

    internal BertLayer(BertConfig config, ParameterBuilder parameters)
    {
        _config = config;
        int c = config.HiddenSize;
        ParameterBuilder self = parameters["attention.self"];
        _qkv = self.StackedMatrix(["query.weight", "key.weight", "value.weight"], c, c);
        _qkvBias = self.StackedVector(["query.bias", "key.bias", "value.bias"], c);
        ParameterBuilder attention = parameters["attention.output"];
        _attentionOutput = attention.Matrix("dense.weight", c, c);
        _attentionOutputBias = attention.Vector("dense.bias", c);
        _attentionGamma = attention.Vector("LayerNorm.weight", c);
        _attentionBeta = attention.Vector("LayerNorm.bias", c);
        _intermediate = parameters.Matrix("intermediate.dense.weight", config.IntermediateSize, c);
        _intermediateBias = parameters.Vector("intermediate.dense.bias", config.IntermediateSize);
        ParameterBuilder output = parameters["output"];
        _output = output.Matrix("dense.weight", c, config.IntermediateSize);
        _outputBias = output.Vector("dense.bias", c);
        _outputGamma = output.Vector("LayerNorm.weight", c);
        _outputBeta = output.Vector("LayerNorm.bias", c);
    }

    /// <summary>Records the layer for all tokens.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, T, C)</param>
    /// <param name="mask">I32 (B, T), 0 hides a key</param>
    /// <param name="adapters">The layer's adapters, or null.</param>
    /// <returns>(B, T, C)</returns>
    public Variable Forward(Graph graph, Variable h, Tensor? mask, BertLayerAdapters? adapters)
    {
        Variable qkv = graph.Linear(h, _qkv, _qkvBias);
        Variable context = graph.SelfAttention(qkv, Options(mask), _config.AttentionDropout);
        return FeedForward(graph, context, h, adapters);
    }

    /// <summary>Records the layer for the one token that is read later: queries and everything after them for that row, keys and values for all.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, T, C)</param>
    /// <param name="mask">I32 (B, T), 0 hides a key</param>
    /// <param name="adapters">The layer's adapters, or null.</param>
    /// <param name="token">The token that is read.</param>
    /// <returns>(B, C)</returns>
    public Variable ForwardOneToken(Graph graph, Variable h, Tensor? mask, BertLayerAdapters? adapters, int token)
    {
        (int batch, int c) = (h.Value.Extent(0), _config.HiddenSize);
        Variable row = graph.Token(h, token);
        Variable q = graph.Reshape(graph.Linear(row, _qkv.Outputs(0, c), _qkvBias.Outputs(0, c)), batch, 1, c);
        Variable kv = graph.Linear(h, _qkv.Outputs(c, 2 * c), _qkvBias.Outputs(c, 2 * c));
        Variable context = graph.Attention(q, kv, Options(mask), _config.AttentionDropout);
        return FeedForward(graph, graph.Reshape(context, batch, c), row, adapters);
    }

    private AttentionOptions Options(Tensor? mask) =>
        new(_config.Heads, _config.Heads, 1 / MathF.Sqrt(_config.HiddenSize / _config.Heads), KeyMask: mask);

    private Variable FeedForward(Graph graph, Variable context, Variable h, BertLayerAdapters? adapters)
    {
        Variable a = graph.Dropout(graph.Linear(context, _attentionOutput, _attentionOutputBias), _config.HiddenDropout);
        a = adapters is null ? a : graph.Adapter(a, adapters.Attention);
        a = graph.LayerNorm(a, h, _attentionGamma, _attentionBeta, _config.NormEpsilon);
        Variable f = graph.Linear(a, _intermediate, _intermediateBias, _config.Activation);
        f = graph.Dropout(graph.Linear(f, _output, _outputBias), _config.HiddenDropout);
        f = adapters is null ? f : graph.Adapter(f, adapters.FeedForward);
        return graph.LayerNorm(f, a, _outputGamma, _outputBeta, _config.NormEpsilon);
    }
}
