using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;

namespace Dvp.Models.Bert;

/// <summary>Settings of a BERT encoder, as Hugging Face's <c>config.json</c> holds them.</summary>
public sealed record BertConfig
{
    /// <summary>Entries of the word embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>C, channels of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>L, number of layers.</summary>
    public required int Layers { get; init; }

    /// <summary>H, attention heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Channels of the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Longest text in tokens.</summary>
    public required int MaximumPositions { get; init; }

    /// <summary>Token types (segments).</summary>
    public int TokenTypes { get; init; } = 2;

    /// <summary>Added to variances.</summary>
    public float NormEpsilon { get; init; } = 1e-12f;

    /// <summary>Activation of the feed-forward part.</summary>
    public Activation Activation { get; init; } = Activation.GeluErf;

    /// <summary>Dropout after embeddings and projections.</summary>
    public float HiddenDropout { get; init; } = 0.1f;

    /// <summary>Dropout on attention probabilities.</summary>
    public float AttentionDropout { get; init; } = 0.1f;

    /// <summary>Token id of padding, whose word embedding gets no gradient.</summary>
    public int PaddingId { get; init; }

    /// <summary>Reads <c>config.json</c> of a folder.</summary>
    /// <exception cref="DvpException">The file is missing, or a value is missing, unknown or out of range.</exception>
    public static BertConfig Load(string folder)
    {
        ConfigFile file = ConfigFile.Load(Path.Combine(folder, "config.json"));
        file.RequireValue("model_type", "bert");
        file.RequireValue("position_embedding_type", "absolute", optional: true);
        BertConfig config = new()
        {
            VocabularySize = file.PositiveInt("vocab_size"),
            HiddenSize = file.PositiveInt("hidden_size"),
            Layers = file.PositiveInt("num_hidden_layers"),
            Heads = file.PositiveInt("num_attention_heads"),
            IntermediateSize = file.PositiveInt("intermediate_size"),
            MaximumPositions = file.PositiveInt("max_position_embeddings"),
            TokenTypes = file.PositiveInt("type_vocab_size", 2),
            NormEpsilon = (float)file.Number("layer_norm_eps", 1e-12),
            Activation = file.Activation("hidden_act", Activation.GeluErf),
            HiddenDropout = file.DropoutRate("hidden_dropout_prob", 0.1),
            AttentionDropout = file.DropoutRate("attention_probs_dropout_prob", 0.1),
            PaddingId = file.Int("pad_token_id", 0),
        };
        return config.HiddenSize % config.Heads == 0
            ? config
            : throw file.Error("hidden_size", $"must be a multiple of num_attention_heads ({config.Heads}), found {config.HiddenSize}");
    }
}
