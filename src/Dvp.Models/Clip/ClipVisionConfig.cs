using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;

namespace Dvp.Models.Clip;

/// <summary>Settings of a CLIP vision transformer, from the <c>config.json</c> of a vision model or of a whole CLIP model (<c>vision_config</c>).</summary>
public sealed record ClipVisionConfig
{
    /// <summary>V, channels.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Channels of the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Number of blocks.</summary>
    public required int Layers { get; init; }

    /// <summary>Attention heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Side of the picture in pixels.</summary>
    public required int ImageSize { get; init; }

    /// <summary>Side of a patch in pixels.</summary>
    public required int PatchSize { get; init; }

    /// <summary>Added to variances.</summary>
    public float NormEpsilon { get; init; } = 1e-5f;

    /// <summary>Activation of the feed-forward part.</summary>
    public Activation Activation { get; init; } = Activation.QuickGelu;

    /// <summary>Size of the joint embedding of a whole CLIP model; 0 for a vision model alone.</summary>
    public int ProjectionSize { get; init; }

    /// <summary>N, visual tokens of a picture: the class token and the patches.</summary>
    public int Tokens => 1 + (ImageSize / PatchSize * (ImageSize / PatchSize));

    /// <summary>Reads <c>config.json</c> of a folder. Absent keys of <c>vision_config</c> have the library's defaults.</summary>
    /// <exception cref="DvpException">The file is missing, or a value is unknown or out of range.</exception>
    public static ClipVisionConfig Load(string folder)
    {
        ConfigFile file = ConfigFile.Load(Path.Combine(folder, "config.json"));
        bool whole = file.Section("vision_config") is not null;
        if (!whole)
        {
            file.RequireValue("model_type", "clip_vision_model");
        }

        ConfigFile vision = file.Section("vision_config") ?? file;
        int channels = vision.PositiveInt("num_channels", 3);
        ClipVisionConfig config = new()
        {
            HiddenSize = vision.PositiveInt("hidden_size", 768),
            IntermediateSize = vision.PositiveInt("intermediate_size", 3072),
            Layers = vision.PositiveInt("num_hidden_layers", 12),
            Heads = vision.PositiveInt("num_attention_heads", 12),
            ImageSize = vision.PositiveInt("image_size", 224),
            PatchSize = vision.PositiveInt("patch_size", 32),
            NormEpsilon = (float)vision.Number("layer_norm_eps", 1e-5),
            Activation = vision.Activation("hidden_act", Activation.QuickGelu),
            ProjectionSize = whole ? file.PositiveInt("projection_dim", 512) : 0,
        };
        if (channels != 3)
        {
            throw vision.Error("num_channels", $"must be 3, found {channels}");
        }

        if (config.HiddenSize % config.Heads != 0)
        {
            throw vision.Error("hidden_size", $"must be a multiple of num_attention_heads ({config.Heads}), found {config.HiddenSize}");
        }

        return config.PatchSize <= config.ImageSize
            ? config
            : throw vision.Error("patch_size", $"must not be over image_size ({config.ImageSize}), found {config.PatchSize}");
    }
}
