using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;

namespace Dvp.Models.Llama;

/// <summary>Settings of a LLaMA model, as Hugging Face's <c>config.json</c> holds them.</summary>
public sealed record LlamaConfig
{
    /// <summary>Entries of the word embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>C, channels of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>L, number of layers.</summary>
    public required int Layers { get; init; }

    /// <summary>H, attention heads.</summary>
    public required int Heads { get; init; }

    /// <summary>G, heads of keys and values.</summary>
    public required int KeyHeads { get; init; }

    /// <summary>D, channels of a head; H D need not be C.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Channels of the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Longest text in tokens that the model was made for.</summary>
    public required int MaximumPositions { get; init; }

    /// <summary>Added to mean squares.</summary>
    public float NormEpsilon { get; init; } = 1e-6f;

    /// <summary>Activation of the gate.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>Base of the rotary frequencies.</summary>
    public float Theta { get; init; } = 10000;

    /// <summary>Scaling of the rotary frequencies for long texts; null for none.</summary>
    public LlamaRotaryScaling? Scaling { get; init; }

    /// <summary>Token that ends a text, whose state is read.</summary>
    public int EndId { get; init; } = 2;

    /// <summary>Token of padding, whose embedding gets no gradient; -1 for none.</summary>
    public int PaddingId { get; init; } = -1;

    /// <summary>Whether the output matrix is the word embedding.</summary>
    public bool Tied { get; init; }

    /// <summary>Reads <c>config.json</c> of a folder.</summary>
    /// <exception cref="DvpException">The file is missing, or a value is missing, unknown or out of range.</exception>
    public static LlamaConfig Load(string folder)
    {
        ConfigFile file = ConfigFile.Load(Path.Combine(folder, "config.json"));
        file.RequireValue("model_type", "llama");
        foreach (string biased in (string[])["attention_bias", "mlp_bias"])
        {
            if (file.Bool(biased, false))
            {
                throw file.Error(biased, "must be false; LLaMA models with biases are not supported");
            }
        }

        int hidden = file.PositiveInt("hidden_size");
        int heads = file.PositiveInt("num_attention_heads");
        ConfigFile? rotary = file.Section("rope_parameters") ?? file.Section("rope_scaling");
        LlamaConfig config = new()
        {
            VocabularySize = file.PositiveInt("vocab_size"),
            HiddenSize = hidden,
            Layers = file.PositiveInt("num_hidden_layers"),
            Heads = heads,
            KeyHeads = file.PositiveInt("num_key_value_heads", heads),
            HeadSize = file.PositiveInt("head_dim", Math.Max(1, hidden / heads)),
            IntermediateSize = file.PositiveInt("intermediate_size"),
            MaximumPositions = file.PositiveInt("max_position_embeddings", 2048),
            NormEpsilon = (float)file.Number("rms_norm_eps", 1e-6),
            Activation = file.Activation("hidden_act", Activation.Silu),
            Theta = (float)file.Number("rope_theta", rotary?.Number("rope_theta", 10000) ?? 10000),
            Scaling = rotary is null ? null : LlamaRotaryScaling.Read(rotary),
            EndId = FirstEnd(file),
            PaddingId = file.Int("pad_token_id", -1),
            Tied = file.Bool("tie_word_embeddings", false),
        };
        if (!file.Has("head_dim") && hidden % heads != 0)
        {
            throw file.Error("hidden_size", $"must be a multiple of num_attention_heads ({heads}), found {hidden}");
        }

        if (config.HeadSize % 2 != 0)
        {
            throw file.Error("head_dim", $"must be even for rotary positions, found {config.HeadSize}");
        }

        return heads % config.KeyHeads == 0
            ? config
            : throw file.Error("num_key_value_heads", $"must divide num_attention_heads ({heads}), found {config.KeyHeads}");
    }

    /// <summary>The end token; newer files list several, the first of which ends a text.</summary>
    private static int FirstEnd(ConfigFile file) =>
        file.Raw("eos_token_id") is { ValueKind: System.Text.Json.JsonValueKind.Array }
            ? file.Integers("eos_token_id") is [int first, ..] ? first : throw file.Error("eos_token_id", "must name a token")
            : file.Int("eos_token_id", 2);
}

/// <summary>LLaMA 3.1's scaling of the rotary frequencies: low ones are divided, high ones stay, those between are blended.</summary>
/// <param name="Factor">Divisor of low frequencies.</param>
/// <param name="LowFactor">Turns within the original length below which a frequency is low.</param>
/// <param name="HighFactor">Turns above which it is high.</param>
/// <param name="OriginalPositions">Length that the model was first trained on.</param>
public sealed record LlamaRotaryScaling(double Factor, double LowFactor, double HighFactor, int OriginalPositions)
{
    /// <summary>The frequencies theta^(-2i/D), i below D/2, scaled.</summary>
    /// <param name="headSize">D</param>
    /// <param name="theta">Base of the frequencies.</param>
    public float[] Frequencies(int headSize, double theta)
    {
        float[] frequencies = new float[headSize / 2];
        for (int i = 0; i < frequencies.Length; i++)
        {
            double frequency = Math.Pow(theta, -2.0 * i / headSize);
            double turns = OriginalPositions * frequency / (2 * Math.PI);
            double blend = Math.Clamp((turns - LowFactor) / (HighFactor - LowFactor), 0, 1);
            frequencies[i] = (float)(((1 - blend) * frequency / Factor) + (blend * frequency));
        }

        return frequencies;
    }

    internal static LlamaRotaryScaling? Read(ConfigFile file)
    {
        string type = file.Text("rope_type", file.Text("type", "default"));
        return type switch
        {
            "default" => null,
            "llama3" => Llama3(file),
            _ => throw file.Error("rope_type", $"must be default or llama3, found {type}"),
        };
    }

    private static LlamaRotaryScaling Llama3(ConfigFile file)
    {
        LlamaRotaryScaling scaling = new(
            file.Number("factor"), file.Number("low_freq_factor"), file.Number("high_freq_factor"),
            file.PositiveInt("original_max_position_embeddings"));
        return scaling.Factor <= 0 ? throw file.Error("factor", string.Create(CultureInfo.InvariantCulture, $"must be above 0, found {scaling.Factor}"))
            : scaling.LowFactor < scaling.HighFactor ? scaling
            : throw file.Error("high_freq_factor", string.Create(
                CultureInfo.InvariantCulture, $"must be above low_freq_factor ({scaling.LowFactor}), found {scaling.HighFactor}"));
    }
}
