using Dvp.Engine.Autograd;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.T5;

/// <summary>T5 (Raffel et al. 2020) in the parts that Dynamic Visual Prompting puts together: embedding, stacks layer by layer, head.</summary>
public sealed class T5Model
{
    private readonly ParameterBlock _shared;
    private readonly ParameterBlock _encoderPositions;
    private readonly ParameterBlock _decoderPositions;
    private readonly ParameterBlock _encoderNorm;
    private readonly ParameterBlock _decoderNorm;
    private readonly ParameterBlock? _head;
    private readonly T5EncoderLayer[] _encoder;
    private readonly T5DecoderLayer[] _decoder;

    /// <summary>Makes the parameters of a model.</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="parameters">Names at the root.</param>
    /// <param name="ownHead">Whether the language-model head has a matrix of its own.</param>
    public T5Model(T5Config config, ParameterBuilder parameters, bool ownHead = false)
    {
        Config = config;
        _shared = parameters.Table("shared.weight", config.VocabularySize, config.HiddenSize);
        ParameterBuilder encoder = parameters["encoder"];
        _encoderPositions = Positions(encoder);
        _encoder = new T5EncoderLayer[config.EncoderLayers];
        for (int i = 0; i < _encoder.Length; i++)
        {
            _encoder[i] = new T5EncoderLayer(config, encoder[$"block.{i}"]);
        }

        _encoderNorm = encoder.Vector("final_layer_norm.weight", config.HiddenSize);
        ParameterBuilder decoder = parameters["decoder"];
        _decoderPositions = Positions(decoder);
        _decoder = new T5DecoderLayer[config.DecoderLayers];
        for (int i = 0; i < _decoder.Length; i++)
        {
            _decoder[i] = new T5DecoderLayer(config, decoder[$"block.{i}"]);
        }

        _decoderNorm = decoder.Vector("final_layer_norm.weight", config.HiddenSize);
        _head = ownHead ? parameters.Matrix("lm_head.weight", config.VocabularySize, config.HiddenSize) : null;
    }

    /// <summary>Sizes.</summary>
    public T5Config Config { get; }

    /// <summary>The encoder's layers, first to last.</summary>
    public IReadOnlyList<T5EncoderLayer> Encoder => _encoder;

    /// <summary>The decoder's layers, first to last.</summary>
    public IReadOnlyList<T5DecoderLayer> Decoder => _decoder;

    /// <summary>Records the embedding of either stack and its dropout.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="ids">I32 (B, T)</param>
    /// <returns>(B, T, C)</returns>
    public Variable Embed(Graph graph, Variable ids) =>
        graph.Stream(graph.Dropout(graph.Embedding(ids, _shared, null, null, null, paddingIndex: -1), Config.Dropout));

    /// <summary>Records the encoder's relative positions (H, T, T), the table of its first layer.</summary>
    public Variable EncoderBias(Graph graph, int tokens) =>
        graph.RelativeBias(_encoderPositions, tokens, tokens, bidirectional: true, Config.MaxDistance);

    /// <summary>Records the decoder's relative positions (H, Td, Td); keys after the query share bucket 0.</summary>
    public Variable DecoderBias(Graph graph, int tokens) =>
        graph.RelativeBias(_decoderPositions, tokens, tokens, bidirectional: false, Config.MaxDistance);

    /// <summary>Records the encoder's final norm and dropout.</summary>
    public Variable FinishEncoder(Graph graph, Variable h) =>
        graph.Dropout(graph.RmsNorm(h, _encoderNorm, Config.NormEpsilon), Config.Dropout);

    /// <summary>Records the decoder's final norm and dropout.</summary>
    public Variable FinishDecoder(Graph graph, Variable h) =>
        graph.Dropout(graph.RmsNorm(h, _decoderNorm, Config.NormEpsilon), Config.Dropout);

    /// <summary>Records the logits (B, Td, vocabulary) of the decoder's finished states.</summary>
    public Variable Logits(Graph graph, Variable h) =>
        graph.Linear(Config.ScalesOutput ? graph.Scale(h, 1 / MathF.Sqrt(Config.HiddenSize)) : h, _head ?? _shared, null);

    private ParameterBlock Positions(ParameterBuilder stack) =>
        stack["block.0.layer.0.SelfAttention"].Table("relative_attention_bias.weight", Config.Buckets, Config.Heads);
}
