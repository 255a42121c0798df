using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Dvp.Engine.Devices;
using Dvp.Features;
using Dvp.Models.Images;
using Dvp.Tasks.Vqa;

namespace Dvp.Cli.Commands;

/// <summary>dvp features: the pictures of a data set through the vision model, once.</summary>
internal static class FeaturesCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "features", "Encodes the pictures of a data set once into a feature store, so that training never does it again.",
            "dvp features --vision-model samples/easy-vqa/vision-model --data samples/easy-vqa/data --output runs/features");
        Option<string> vision = command.With(CommonOptions.Required(
            "--vision-model", "Hugging Face folder of the vision model.", "folder"));
        Option<string> data = command.With(CommonOptions.Required(
            "--data", "Data folder: a dataset.json, or VQA v2.0 files under their own names.", "folder"));
        Option<string> target = command.With(CommonOptions.Required(
            "--output", "Folder of the feature store; an earlier one is replaced when the new one is whole.", "folder"));
        Option<int> batch = command.With(CommonOptions.Integer("--batch", "Pictures of one pass.", 1, 1024, 16));
        Option<string?> transform = command.With(CommonOptions.OptionalOneOf(
            "--transform", "Order of the steps: resize in the picture's own mode (openai) or as RGB (hf).", "what the model's settings say",
            "openai", "hf"));
        Option<int> pixels = command.With(CommonOptions.Integer(
            "--max-pixels", "Largest width times height that is decoded.", 1, int.MaxValue, (int)ImageLimits.Default.MaxPixels));
        DeviceOptions device = new(command);
        return command.Runs((parse, output) =>
        {
            string folder = parse.GetRequiredValue(data);
            List<string> pictures = [];
            VqaDataset dataset = VqaDataset.Open(folder);
            foreach (string name in dataset.SplitNames)
            {
                VqaSplit split = dataset.Split(name);
                split.RequireImages();
                pictures.AddRange(split.Examples.Select(e => e.ImagePath));
            }

            using Backend backend = device.Open(parse, output);
            using VisualEncoder encoder = VisualEncoder.Load(
                parse.GetRequiredValue(vision),
                backend,
                parse.GetValue(batch),
                parse.GetValue(transform) is { } order ? PreprocessorConfig.ParseTransform(order) : null,
                new ImageLimits(parse.GetValue(pixels)));
            long start = Stopwatch.GetTimestamp();
            string store = parse.GetRequiredValue(target);
            using FeatureStore features = FeatureStore.Build(store, encoder, folder, pictures, Jobs.OnPictures(output));
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            output.Line(string.Create(
                CultureInfo.InvariantCulture,
                $"{features.Count} pictures, {features.Tokens} tokens of {features.Channels} each, {features.Bytes / 1e6:0.0} MB in "
                    + $"{store} ({seconds:0.0} s)."));
            output.Result(json =>
            {
                json.WriteString("output", store);
                json.WriteNumber("pictures", features.Count);
                json.WriteNumber("tokens", features.Tokens);
                json.WriteNumber("channels", features.Channels);
                json.WriteNumber("bytes", features.Bytes);
                json.WriteNumber("seconds", seconds);
                DeviceProof.Write(json, backend);
            });
            return 0;
        });
    }
}
