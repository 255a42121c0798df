using System.CommandLine;
using System.Globalization;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Models.Images;

namespace Dvp.Cli.Commands;

/// <summary>dvp preprocess: a picture to the pixels of a vision tower, every step kept.</summary>
internal static class PreprocessCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "preprocess", "Writes a picture as decoded, resized and normalised tensors, as a vision model takes it.",
            "dvp preprocess --image photo.jpg --size 224 --transform openai --output pixels.safetensors",
            "dvp preprocess --image photo.jpg --model samples/easy-vqa/vision-model --output pixels.safetensors");
        Option<string> image = command.With(CommonOptions.Required("--image", "PNG, JPEG, GIF or BMP file.", "file"));
        Option<int?> size = command.With(CommonOptions.OptionalInteger(
            "--size", "Shorter side and crop, in pixels.", 1, 4096, "what --model says, else 224"));
        Option<string?> transform = command.With(CommonOptions.OptionalOneOf(
            "--transform", "Order of the steps: resize in the picture's own mode (openai) or as RGB (hf).",
            "what --model says, else openai", "openai", "hf"));
        Option<string?> model = command.With(CommonOptions.Text(
            "--model", "Vision model whose preprocessor_config.json holds. Default: CLIP's settings.", "folder"));
        Option<string> target = command.With(CommonOptions.Required("--output", "safetensors file to write.", "file"));
        Option<int> pixels = command.With(CommonOptions.Integer(
            "--max-pixels", "Largest width times height that is decoded.", 1, int.MaxValue, (int)ImageLimits.Default.MaxPixels));
        return command.Runs((parse, output) =>
        {
            PreprocessorConfig config = parse.GetValue(model) is { } folder ? PreprocessorConfig.Load(folder) : new PreprocessorConfig();
            if (parse.GetValue(size) is { } side)
            {
                config = config with { ShortestEdge = side, Height = side, Width = side };
            }

            if (parse.GetValue(transform) is { } order)
            {
                config = config with { Transform = PreprocessorConfig.ParseTransform(order) };
            }

            string path = parse.GetRequiredValue(image);
            PreprocessedImage result = new ClipPreprocessor(config, new ImageLimits(parse.GetValue(pixels))).Preprocess(path);
            DecodedImage decoded = result.Decoded;
            string file = parse.GetRequiredValue(target);
            SafetensorsWriter.Write(
                file,
                [
                    TensorContent.FromBytes("decoded", ElementType.U8, [decoded.Height, decoded.Width, 3], decoded.Rgb),
                    TensorContent.FromBytes("resized", ElementType.U8, [result.Height, result.Width, 3], result.Resized),
                    TensorContent.FromFloats("normalised", [3, result.Height, result.Width], result.Normalised),
                ]);
            string name = config.Transform == ImageTransform.OpenAi ? "openai" : "hf";
            output.Line(string.Create(
                CultureInfo.InvariantCulture,
                $"{path}: {decoded.Width} x {decoded.Height} ({decoded.Mode}) to {result.Width} x {result.Height} in {name} order, in "
                    + $"{file}."));
            output.Result(json =>
            {
                json.WriteString("image", path);
                json.WriteString("output", file);
                json.WriteString("mode", decoded.Mode.ToString());
                json.WriteNumber("width", decoded.Width);
                json.WriteNumber("height", decoded.Height);
                json.WriteNumber("size", result.Height);
                json.WriteString("transform", name);
            });
            return 0;
        });
    }
}
