using System.Globalization;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;

namespace Dvp.Prompting;

/// <summary>How the picture enters the language model.</summary>
public enum PromptKind
{
    /// <summary>Dynamic Visual Prompting: cross-attention condenses the visual tokens into one token, asked by the text.</summary>
    Dynamic,

    /// <summary>Baseline: a linear map of all visual tokens, all of them before the text at layer K.</summary>
    AllTokens,

    /// <summary>Baseline: a linear map of the mean visual token, one token before the text at layer K.</summary>
    MeanPooled,

    /// <summary>Baseline: the text alone.</summary>
    None,
}

/// <summary>The loss a DVP model is trained with.</summary>
public enum DvpLoss
{
    /// <summary>BCE with logits against soft targets, the mean times the number of labels: VQA.</summary>
    BinaryCrossEntropy,

    /// <summary>Softmax cross-entropy against one label: GQA, SNLI-VE.</summary>
    CrossEntropy,
}

/// <summary>Which layers of a T5 stack add the relative position bias.</summary>
public enum T5PositionBias
{
    /// <summary>Every layer adds the bias made from layer 0's table: T5 as it was trained.</summary>
    Shared,

    /// <summary>Layer 0 alone, as in the paper's published code.</summary>
    FirstLayerOnly,
}

/// <summary>Sizes of the prompt attention.</summary>
/// <param name="HiddenSize">M, channels of query, keys and values.</param>
/// <param name="Heads">H, divides M.</param>
/// <param name="VisualSize">V, channels of the visual tokens.</param>
/// <param name="Prompts">P, prompt tokens.</param>
/// <param name="Dropout">Dropout on the attention probabilities.</param>
public sealed record PromptConfig(int HiddenSize, int Heads, int VisualSize, int Prompts = 1, float Dropout = 0.1f);

/// <summary>Sizes of the adapters.</summary>
/// <param name="HiddenSize">Channels between down and up.</param>
/// <param name="Activation">ReLU for BERT and T5, SiLU for LLaMA.</param>
public sealed record AdapterConfig(int HiddenSize, Activation Activation = Activation.Relu);

/// <summary>Sizes of the classifier.</summary>
/// <param name="HiddenSize">Channels between its two linears.</param>
/// <param name="Labels">Number of answers.</param>
public sealed record HeadConfig(int HiddenSize, int Labels);

/// <summary>What <c>dvp_config.json</c> holds: everything but the numbers of a trained DVP.</summary>
public sealed record DvpConfig
{
    /// <summary>Name of the file in a DVP folder.</summary>
    public const string FileName = "dvp_config.json";

    /// <summary>Name of the weights in a DVP folder.</summary>
    public const string WeightsName = "dvp.safetensors";

    /// <summary>The language model's family: <c>bert</c>, <c>t5</c> or <c>llama</c>.</summary>
    public string LanguageModelType { get; init; } = "bert";

    /// <summary>K, the layer before which the prompt enters; null while a search has not decided.</summary>
    public int? Layer { get; init; }

    /// <summary>Candidate layers of a search; null for a model at one layer.</summary>
    public IReadOnlyList<int>? SearchLayers { get; init; }

    /// <summary>How the picture enters.</summary>
    public PromptKind Kind { get; init; }

    /// <summary>The prompt attention; for the baselines only its visual size counts.</summary>
    public required PromptConfig Prompt { get; init; }

    /// <summary>The adapters; null where the language model itself trains.</summary>
    public AdapterConfig? Adapters { get; init; }

    /// <summary>The classifier.</summary>
    public required HeadConfig Head { get; init; }

    /// <summary>The training loss.</summary>
    public DvpLoss Loss { get; init; }

    /// <summary>Which layers of T5 add the relative position bias; of no meaning for others.</summary>
    public T5PositionBias PositionBias { get; init; }

    /// <summary>Longest text in tokens, specials included.</summary>
    public int TextLength { get; init; } = 16;

    /// <summary>The answers, in the order of the labels; empty if not recorded.</summary>
    public IReadOnlyList<string> Answers { get; init; } = [];

    /// <summary>Fingerprint of the language model that the DVP was trained on; null if not recorded.</summary>
    public string? LanguageModelFingerprint { get; init; }

    /// <summary>Fingerprint of the visual encoder that made the features; null if not recorded.</summary>
    public string? VisionModelFingerprint { get; init; }

    /// <summary>Reads the configuration of a DVP folder, or of the whole one before it where a writer was killed (<see cref="AtomicFolder"/>).</summary>
    /// <exception cref="DvpException">The file is missing or a value is missing, unknown or out of range.</exception>
    public static DvpConfig Load(string folder)
    {
        ConfigFile file = ConfigFile.Load(Path.Combine(AtomicFolder.Resolve(folder), FileName));
        int version = file.Int("format_version", 1);
        if (version != 1)
        {
            throw file.Error("format_version", $"must be 1, found {version}; a newer program wrote this folder");
        }

        string type = file.Text("language_model_type");
        if (type is not ("bert" or "t5" or "llama"))
        {
            throw file.Error("language_model_type", $"must be bert, t5 or llama, found {type}");
        }

        file.RequireValue("form", "classifier", optional: true);
        ConfigFile prompt = file.Section("prompt") ?? throw file.Error("prompt", "is missing");
        ConfigFile head = file.Section("head") ?? throw file.Error("head", "is missing");
        PromptConfig promptConfig = new(
            prompt.PositiveInt("hidden_size"), prompt.PositiveInt("num_heads"), prompt.PositiveInt("visual_size"),
            prompt.PositiveInt("num_prompts", 1), prompt.DropoutRate("dropout", 0.1));
        if (promptConfig.HiddenSize % promptConfig.Heads != 0)
        {
            throw prompt.Error("hidden_size", $"must be a multiple of num_heads ({promptConfig.Heads}), found {promptConfig.HiddenSize}");
        }

        if (promptConfig.Prompts != 1)
        {
            throw prompt.Error("num_prompts", $"must be 1, found {promptConfig.Prompts}: there is one query, one state of the text");
        }

        DvpConfig config = new()
        {
            LanguageModelType = type,
            Layer = file.Has("layer") ? file.Int("layer") : null,
            SearchLayers = file.Section("search")?.Integers("layers"),
            Kind = file.Text("prompt_kind", "dynamic") switch
            {
                "dynamic" => PromptKind.Dynamic,
                "all_tokens" => PromptKind.AllTokens,
                "mean_pooled" => PromptKind.MeanPooled,
                "none" => PromptKind.None,
                string other => throw file.Error("prompt_kind", $"must be dynamic, all_tokens, mean_pooled or none, found {other}"),
            },
            Prompt = promptConfig,
            Adapters = file.Section("adapters") is { } adapters
                ? new AdapterConfig(adapters.PositiveInt("hidden_size"), adapters.Activation("activation", type == "llama" ? Activation.Silu : Activation.Relu))
                : null,
            Head = new HeadConfig(head.PositiveInt("hidden_size"), head.PositiveInt("num_labels")),
            Loss = file.Text("loss") switch
            {
                "binary_cross_entropy" => DvpLoss.BinaryCrossEntropy,
                "cross_entropy" => DvpLoss.CrossEntropy,
                string other => throw file.Error("loss", $"must be binary_cross_entropy or cross_entropy, found {other}"),
            },
            PositionBias = file.Text("position_bias", "shared") switch
            {
                "shared" => T5PositionBias.Shared,
                "first-layer-only" => T5PositionBias.FirstLayerOnly,
                string other => throw file.Error("position_bias", $"must be shared or first-layer-only, found {other}"),
            },
            TextLength = file.PositiveInt("text_length", 16),
            Answers = file.Texts("answers") ?? [],
            LanguageModelFingerprint = file.Section("fingerprints")?.Text("language_model", ""),
            VisionModelFingerprint = file.Section("fingerprints")?.Text("vision_model", ""),
        };
        if (config.Layer is null && config.SearchLayers is null && config.Kind != PromptKind.None)
        {
            throw file.Error("layer", "is missing; it says before which layer the prompt enters");
        }

        if (config.SearchLayers is { } layers && (layers.Count == 0 || layers.Distinct().Count() != layers.Count))
        {
            throw file.Error("search", "must name at least one layer and none twice");
        }

        return config.Answers.Count == 0 || config.Answers.Count == config.Head.Labels
            ? config
            : throw file.Error("answers", $"must hold num_labels ({config.Head.Labels}) answers, found {config.Answers.Count}");
    }

    /// <summary>The text of <c>dvp_config.json</c>.</summary>
    public string ToJson()
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true, IndentSize = 1 }))
        {
            json.WriteStartObject();
            json.WriteNumber("format_version", 1);
            json.WriteString("language_model_type", LanguageModelType);
            json.WriteString("form", "classifier");
            WriteNumberOrNull(json, "layer", Layer);
            if (Kind != PromptKind.Dynamic)
            {
                json.WriteString("prompt_kind", Kind switch
                {
                    PromptKind.AllTokens => "all_tokens",
                    PromptKind.MeanPooled => "mean_pooled",
                    _ => "none",
                });
            }

            json.WriteStartObject("prompt");
            json.WriteNumber("hidden_size", Prompt.HiddenSize);
            json.WriteNumber("num_heads", Prompt.Heads);
            json.WriteNumber("visual_size", Prompt.VisualSize);
            json.WriteNumber("num_prompts", Prompt.Prompts);
            json.WriteNumber("dropout", Math.Round((double)Prompt.Dropout, 6));
            json.WriteEndObject();
            if (Adapters is { } adapters)
            {
                json.WriteStartObject("adapters");
                json.WriteNumber("hidden_size", adapters.HiddenSize);
                json.WriteString("activation", ConfigFile.NameOf(adapters.Activation));
                json.WriteEndObject();
            }
            else
            {
                json.WriteNull("adapters");
            }

            json.WriteStartObject("head");
            json.WriteNumber("hidden_size", Head.HiddenSize);
            json.WriteNumber("num_labels", Head.Labels);
            json.WriteEndObject();
            if (LanguageModelType == "t5")
            {
                json.WriteString("position_bias", PositionBias == T5PositionBias.Shared ? "shared" : "first-layer-only");
            }

            json.WriteString("loss", Loss == DvpLoss.CrossEntropy ? "cross_entropy" : "binary_cross_entropy");
            if (SearchLayers is not null)
            {
                json.WriteStartObject("search");
                json.WriteStartArray("layers");
                foreach (int layer in SearchLayers)
                {
                    json.WriteNumberValue(layer);
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteNumber("text_length", TextLength);
            json.WriteStartArray("answers");
            foreach (string answer in Answers)
            {
                json.WriteStringValue(answer);
            }

            json.WriteEndArray();
            json.WriteStartObject("fingerprints");
            json.WriteString("language_model", LanguageModelFingerprint ?? "");
            json.WriteString("vision_model", VisionModelFingerprint ?? "");
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    /// <summary>Checks that the configuration fits a language model of L layers.</summary>
    /// <exception cref="DvpException">The layer is not in [0, L).</exception>
    public void RequireLayers(int layers)
    {
        foreach (int layer in SearchLayers ?? (Layer is { } one ? [one] : []))
        {
            if (layer < 0 || layer >= layers)
            {
                throw new DvpException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Layer {layer} is outside the language model; choose an insertion layer from 0 to {layers - 1}."));
            }
        }
    }

    private static void WriteNumberOrNull(Utf8JsonWriter json, string name, int? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
