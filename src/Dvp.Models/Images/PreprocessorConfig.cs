using System.Text.Json;
using Dvp.Engine;

namespace Dvp.Models.Images;

/// <summary>
/// The settings of <c>preprocessor_config.json</c>, in its older form (<c>size</c> and <c>crop_size</c> are numbers) and in
/// today's (<c>{"shortest_edge": n}</c>, <c>{"height": h, "width": w}</c>). What is absent has CLIP's value.
/// </summary>
public sealed record PreprocessorConfig
{
    /// <summary>The shorter side is resized to this; null when <see cref="Height"/> and <see cref="Width"/> are given by a size.</summary>
    public int? ShortestEdge { get; init; } = 224;

    /// <summary>Rows of the result.</summary>
    public int Height { get; init; } = 224;

    /// <summary>Columns of the result.</summary>
    public int Width { get; init; } = 224;

    /// <summary>Whether pictures are resized.</summary>
    public bool Resize { get; init; } = true;

    /// <summary>Whether the middle of the resized picture is cut out.</summary>
    public bool CentreCrop { get; init; } = true;

    /// <summary>What samples of 0 to 255 are multiplied with; 1 for none.</summary>
    public double RescaleFactor { get; init; } = 1 / 255.0;

    /// <summary>Mean of each channel, subtracted after rescaling.</summary>
    public IReadOnlyList<double> Mean { get; init; } = [0.48145466, 0.4578275, 0.40821073];

    /// <summary>Deviation of each channel, divided by after subtracting.</summary>
    public IReadOnlyList<double> Deviation { get; init; } = [0.26862954, 0.26130258, 0.27577711];

    /// <summary>Order of the steps: <c>imageTransform</c>, <c>openai</c> (default) or <c>hf</c>.</summary>
    public ImageTransform Transform { get; init; } = ImageTransform.OpenAi;

    /// <summary>Reads the file, or the one of that name in a folder.</summary>
    /// <exception cref="DvpException">The file is missing, no JSON, or asks for what is not supported.</exception>
    public static PreprocessorConfig Load(string path)
    {
        string file = Directory.Exists(path) ? Path.Combine(path, "preprocessor_config.json") : path;
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(file));
            return Parse(document.RootElement, file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"The image settings {file} cannot be read: {e.Message}", e);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw new DvpException($"The image settings {file} are not valid: {e.Message}", e);
        }
    }

    /// <summary>Reads the value of <c>imageTransform</c>.</summary>
    /// <exception cref="DvpException">It is neither <c>openai</c> nor <c>hf</c>.</exception>
    public static ImageTransform ParseTransform(string value) => value switch
    {
        "openai" => ImageTransform.OpenAi,
        "hf" => ImageTransform.HuggingFace,
        _ => throw new DvpException($"imageTransform is {value}, but it must be openai or hf."),
    };

    private static PreprocessorConfig Parse(JsonElement root, string file)
    {
        PreprocessorConfig config = new()
        {
            Resize = Flag(root, "do_resize"),
            CentreCrop = Flag(root, "do_center_crop"),
            RescaleFactor = !Flag(root, "do_rescale") ? 1
                : root.TryGetProperty("rescale_factor", out JsonElement factor) ? factor.GetDouble() : 1 / 255.0,
        };
        if (root.TryGetProperty("resample", out JsonElement resample) && resample.GetInt32() != 3)
        {
            throw new DvpException($"The image settings {file} ask for resample {resample.GetInt32()}; only 3 (bicubic) is supported.");
        }

        (int Height, int Width, bool Shortest) size = Size(root, "size", config.CentreCrop, file) ?? (224, 224, config.CentreCrop);
        (int Height, int Width, bool Shortest) crop = config.CentreCrop ? Size(root, "crop_size", false, file) ?? (224, 224, false) : size;
        if (size.Shortest && !config.CentreCrop && config.Resize)
        {
            throw new DvpException(
                $"The image settings {file} resize the shortest edge without a centre crop, so that pictures differ in size; " +
                "set do_center_crop.");
        }

        config = config with
        {
            ShortestEdge = size.Shortest ? size.Height : null,
            Height = crop.Height,
            Width = crop.Width,
        };
        if (!Flag(root, "do_normalize"))
        {
            config = config with { Mean = [0, 0, 0], Deviation = [1, 1, 1] };
        }
        else
        {
            config = config with
            {
                Mean = Three(root, "image_mean", file) ?? config.Mean,
                Deviation = Three(root, "image_std", file) ?? config.Deviation,
            };
        }

        if (root.TryGetProperty("imageTransform", out JsonElement transform))
        {
            config = config with { Transform = ParseTransform(transform.GetString() ?? "") };
        }

        // A resize to a fixed size that a crop of the same size follows leaves nothing to crop.
        return size.Shortest || !config.CentreCrop || (size.Height == crop.Height && size.Width == crop.Width) ? config
            : throw new DvpException(
                $"The image settings {file} resize to {size.Height}x{size.Width} and crop to {crop.Height}x{crop.Width}; " +
                "give size as shortest_edge.");
    }

    private static bool Flag(JsonElement root, string name) =>
        !root.TryGetProperty(name, out JsonElement value) || value.ValueKind == JsonValueKind.Null || value.GetBoolean();

    private static (int Height, int Width, bool Shortest)? Size(JsonElement root, string name, bool numberIsShortest, string file)
    {
        if (!root.TryGetProperty(name, out JsonElement value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        bool shortest = value.ValueKind == JsonValueKind.Number ? numberIsShortest : value.TryGetProperty("shortest_edge", out _);
        JsonElement height = value.ValueKind == JsonValueKind.Number ? value
            : value.GetProperty(shortest ? "shortest_edge" : "height");
        JsonElement width = value.ValueKind == JsonValueKind.Number || shortest ? height : value.GetProperty("width");
        (int Height, int Width) size = (height.GetInt32(), width.GetInt32());
        return size is { Height: >= 1 and <= 4096, Width: >= 1 and <= 4096 } ? (size.Height, size.Width, shortest)
            : throw new DvpException($"The image settings {file} give {name} as {size.Height}x{size.Width}; it must be 1 to 4096.");
    }

    private static double[]? Three(JsonElement root, string name, string file)
    {
        if (!root.TryGetProperty(name, out JsonElement value))
        {
            return null;
        }

        double[] values = [.. value.EnumerateArray().Select(v => v.GetDouble())];
        return values.Length == 3 && values.All(v => double.IsFinite(v) && (name == "image_mean" || v != 0)) ? values
            : throw new DvpException($"The image settings {file} need three numbers in {name}, none of them 0 for image_std.");
    }
}
