using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;

namespace Dvp.Models.T5;

/// <summary>Settings of a T5 model, as Hugging Face's <c>config.json</c> holds them.</summary>
public sealed record T5Config
{
    /// <summary>Entries of the word embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>C, channels of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>H, attention heads.</summary>
    public required int Heads { get; init; }

    /// <summary>D, channels of a head; H D need not be C.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Channels of the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Layers of the encoder.</summary>
    public required int EncoderLayers { get; init; }

    /// <summary>L, layers of the decoder.</summary>
    public required int DecoderLayers { get; init; }

    /// <summary>Buckets of the relative positions.</summary>
    public int Buckets { get; init; } = 32;

    /// <summary>Distance from which on all share the last bucket.</summary>
    public int MaxDistance { get; init; } = 128;

    /// <summary>Added to mean squares.</summary>
    public float NormEpsilon { get; init; } = 1e-6f;

    /// <summary>Activation of the feed-forward part, or of its gate.</summary>
    public Activation Activation { get; init; } = Activation.Relu;

    /// <summary>Whether the feed-forward part is gated (v1.1).</summary>
    public bool Gated { get; init; }

    /// <summary>Dropout on embeddings, attention probabilities, in the feed-forward part, on every branch and after the final norms.</summary>
    public float Dropout { get; init; } = 0.1f;

    /// <summary>The token that the decoder starts from.</summary>
    public int StartId { get; init; }

    /// <summary>Whether the file says that the output matrix is the word embedding; a matrix of its own in the weights has the last word.</summary>
    public bool Tied { get; init; } = true;

    /// <summary>Whether output states are multiplied by C^-0.5 before the output matrix.</summary>
    public bool ScalesOutput { get; init; } = true;

    /// <summary>Reads <c>config.json</c> of a folder.</summary>
    /// <exception cref="DvpException">The file is missing, or a value is missing, unknown or out of range.</exception>
    public static T5Config Load(string folder)
    {
        ConfigFile file = ConfigFile.Load(Path.Combine(folder, "config.json"));
        file.RequireValue("model_type", "t5");
        int layers = file.PositiveInt("num_layers");
        string feedForward = file.Text("feed_forward_proj", "relu");
        bool tied = file.Bool("tie_word_embeddings", true);
        T5Config config = new()
        {
            VocabularySize = file.PositiveInt("vocab_size"),
            HiddenSize = file.PositiveInt("d_model"),
            Heads = file.PositiveInt("num_heads"),
            HeadSize = file.PositiveInt("d_kv"),
            IntermediateSize = file.PositiveInt("d_ff"),
            EncoderLayers = layers,
            DecoderLayers = file.PositiveInt("num_decoder_layers", layers),
            Buckets = file.PositiveInt("relative_attention_num_buckets", 32),
            MaxDistance = file.PositiveInt("relative_attention_max_distance", 128),
            NormEpsilon = (float)file.Number("layer_norm_epsilon", 1e-6),
            Gated = feedForward.StartsWith("gated-", StringComparison.Ordinal),
            Activation = feedForward switch
            {
                "relu" => Activation.Relu,
                "gelu" => Activation.GeluErf,
                "gelu_new" or "gated-gelu" => Activation.GeluTanh, // gated-gelu has meant the tanh form from the first v1.1 models on
                "silu" or "gated-silu" => Activation.Silu,
                _ => throw file.Error("feed_forward_proj", $"must be relu, gelu, gelu_new, silu, gated-gelu or gated-silu, found {feedForward}"),
            },
            Dropout = file.DropoutRate("dropout_rate", 0.1),
            StartId = file.Int("decoder_start_token_id", file.Int("pad_token_id", 0)),
            Tied = tied,
            ScalesOutput = file.Bool("scale_decoder_outputs", tied),
        };
        if (config.Buckets < 4 || config.Buckets % 2 != 0)
        {
            throw file.Error("relative_attention_num_buckets", $"must be even and at least 4, found {config.Buckets}");
        }

        if (config.MaxDistance <= config.Buckets / 2)
        {
            throw file.Error("relative_attention_max_distance", $"must be more than {config.Buckets / 2}, found {config.MaxDistance}");
        }

        return config.StartId >= 0 && config.StartId < config.VocabularySize
            ? config
            : throw file.Error("decoder_start_token_id", $"must be a token below {config.VocabularySize}, found {config.StartId}");
    }
}
