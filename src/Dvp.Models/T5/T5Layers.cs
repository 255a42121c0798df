using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.T5;

/// <summary>The adapters of one encoder layer.</summary>
/// <param name="Attention">Encoder adapter 2i.</param>
/// <param name="FeedForward">Encoder adapter 2i + 1.</param>
public sealed record T5EncoderAdapters(AdapterParameters Attention, AdapterParameters FeedForward);

/// <summary>The adapters of one decoder layer.</summary>
/// <param name="SelfAttention">Decoder adapter 3i.</param>
/// <param name="CrossAttention">Decoder adapter 3i + 1.</param>
/// <param name="FeedForward">Decoder adapter 3i + 2.</param>
public sealed record T5DecoderAdapters(AdapterParameters SelfAttention, AdapterParameters CrossAttention, AdapterParameters FeedForward);

/// <summary>One pre-norm encoder layer: attention, then feed-forward, each added to the stream.</summary>
public sealed class T5EncoderLayer
{
    private readonly T5SelfAttention _attention;
    private readonly T5FeedForward _feedForward;

    internal T5EncoderLayer(T5Config config, ParameterBuilder parameters)
    {
        _attention = new T5SelfAttention(config, parameters["layer.0"]);
        _feedForward = new T5FeedForward(config, parameters["layer.1"]);
    }

    /// <summary>Records the layer.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, T, C)</param>
    /// <param name="mask">I32 (B, T), 0 hides a key</param>
    /// <param name="bias">(H, T, T), or null</param>
    /// <param name="adapters">The layer's adapters, or null.</param>
    /// <returns>(B, T, C)</returns>
    public Variable Forward(Graph graph, Variable h, Tensor? mask, Variable? bias, T5EncoderAdapters? adapters)
    {
        h = _attention.Forward(graph, h, mask, bias, causal: false, adapters?.Attention);
        return _feedForward.Forward(graph, h, adapters?.FeedForward);
    }
}

/// <summary>One pre-norm decoder layer: attention to itself, attention to the encoder's output, feed-forward, each added to the stream.</summary>
public sealed class T5DecoderLayer
{
    private readonly T5SelfAttention _attention;
    private readonly T5CrossAttention _cross;
    private readonly T5FeedForward _feedForward;

    internal T5DecoderLayer(T5Config config, ParameterBuilder parameters)
    {
        _attention = new T5SelfAttention(config, parameters["layer.0"]);
        _cross = new T5CrossAttention(config, parameters["layer.1"]);
        _feedForward = new T5FeedForward(config, parameters["layer.2"]);
    }

    /// <summary>Records the layer for all tokens.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, Td, C)</param>
    /// <param name="encoder">(B, T, C) the encoder's output</param>
    /// <param name="mask">I32 (B, T), 0 hides a token of the encoder</param>
    /// <param name="bias">(H, Td, Td), or null</param>
    /// <param name="causal">Whether a token sees only those before it: a language model; a prompt and the start token see each other.</param>
    /// <param name="adapters">The layer's adapters, or null.</param>
    /// <returns>(B, Td, C)</returns>
    public Variable Forward(
        Graph graph, Variable h, Variable encoder, Tensor? mask, Variable? bias, bool causal, T5DecoderAdapters? adapters)
    {
        h = _attention.Forward(graph, h, mask: null, bias, causal, adapters?.SelfAttention);
        return Rest(graph, h, encoder, mask, adapters);
    }

    /// <summary>Records the layer for the last token, which is read later: keys and values for all, the rest for that row.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, Td, C)</param>
    /// <param name="encoder">(B, T, C)</param>
    /// <param name="mask">I32 (B, T)</param>
    /// <param name="bias">(H, Td, Td), or null</param>
    /// <param name="adapters">The layer's adapters, or null.</param>
    /// <returns>(B, C)</returns>
    public Variable ForwardLast(Graph graph, Variable h, Variable encoder, Tensor? mask, Variable? bias, T5DecoderAdapters? adapters) =>
        Rest(graph, _attention.ForwardLast(graph, h, bias, adapters?.SelfAttention), encoder, mask, adapters);

    private Variable Rest(Graph graph, Variable h, Variable encoder, Tensor? mask, T5DecoderAdapters? adapters)
    {
        h = _cross.Forward(graph, h, encoder, mask, adapters?.CrossAttention);
        return _feedForward.Forward(graph, h, adapters?.FeedForward);
    }
}
