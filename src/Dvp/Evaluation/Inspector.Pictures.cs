using System.Globalization;
using Dvp.Engine;
using Dvp.Models.Images;

namespace Dvp.Evaluation;

public static partial class Inspector
{
    private static void Picture(Inspection found)
    {
        DecodedImage image = ImageDecoder.Decode(found.Path);
        found.Fact("size", string.Create(CultureInfo.InvariantCulture, $"{image.Width} x {image.Height} pixels"));
        found.Fact("mode", image.Mode.ToString());
    }

    /// <summary>The image settings beside a vision model.</summary>
    private static void PictureSettings(Inspection found)
    {
        PreprocessorConfig config = PreprocessorConfig.Load(found.Path);
        found.Fact("pictures", string.Create(
            CultureInfo.InvariantCulture,
            $"{config.Width} x {config.Height}, {(config.Transform == ImageTransform.OpenAi ? "openai" : "hf")} order"));
        string? wanted = found.Value("picture size");
        if (wanted is not null && wanted != Count(config.Height))
        {
            throw new DvpException(
                $"{found.Path}: preprocessor_config.json makes pictures of {config.Width} x {config.Height}, and the model takes "
                    + $"{wanted} x {wanted}; correct crop_size.");
        }
    }
}
