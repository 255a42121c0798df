using System.CommandLine;
using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Models.Images;
using Dvp.Reporting;

namespace Dvp.Cli.Commands;

/// <summary>dvp predict: an answer to a question about a picture.</summary>
internal static class PredictCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "predict", "Answers a question about a picture, with probabilities, and can draw where the model looked.",
            "dvp predict --dvp runs/quickstart/dvp --image photo.png --question \"what shape is in the image?\"",
            "dvp predict --dvp runs/quickstart/dvp --image photo.png --question \"is there a circle?\" --heatmap where.svg --top 3 --json");
        Option<string> dvp = command.With(CommonOptions.Required("--dvp", "Folder of the trained DVP.", "folder"));
        Option<string> image = command.With(CommonOptions.Required("--image", "PNG, JPEG, GIF or BMP file.", "file"));
        Option<string> question = command.With(CommonOptions.Required("--question", "The question.", "text"));
        Option<int> top = command.With(CommonOptions.Integer("--top", "Answers to print.", 1, 10_000, 5));
        Option<string?> heat = command.With(CommonOptions.Text(
            "--heatmap", "Draws the attention over the picture into this .svg or .png. Default: none.", "file"));
        Option<string?> language = command.With(CommonOptions.Text(
            "--language-model", "Hugging Face folder of the language model. Default: the sample's.", "folder"));
        Option<string?> vision = command.With(CommonOptions.Text(
            "--vision-model", "Hugging Face folder of the vision model. Default: the sample's.", "folder"));
        Option<bool> force = command.With(CommonOptions.Switch("--force", "Accepts a DVP that was trained on other models. Default: off."));
        DeviceOptions device = new(command);
        return command.Runs((parse, output) =>
        {
            string? drawing = parse.GetValue(heat);
            if (drawing is not null && Path.GetExtension(drawing).ToUpperInvariant() is not (".SVG" or ".PNG"))
            {
                throw new DvpException($"The heat map {drawing} must end in .svg or .png."); // before the work, not after it
            }

            string picture = parse.GetRequiredValue(image);
            using Backend backend = device.Open(parse, output);
            using DvpModel model = DvpModel.Load(
                parse.GetValue(language) ?? ExperimentOptions.Sample().LanguageModel,
                parse.GetValue(vision) ?? ExperimentOptions.Sample().VisionModel,
                parse.GetRequiredValue(dvp),
                backend,
                parse.GetValue(force));
            Prediction prediction = model.Answer(picture, parse.GetRequiredValue(question), parse.GetValue(top));
            if (drawing is not null)
            {
                Draw(drawing, picture, prediction);
            }

            TextTable table = new("answer", ">probability");
            foreach (Answer answer in prediction.Answers)
            {
                table.Row(answer.Text, answer.Probability.ToString("0.0000", CultureInfo.InvariantCulture));
            }

            output.Table(table);
            if (drawing is not null)
            {
                output.Line($"Heat map: {drawing}");
            }

            output.Result(json =>
            {
                json.WriteStartArray("answers");
                foreach (Answer answer in prediction.Answers)
                {
                    json.WriteStartObject();
                    json.WriteString("answer", answer.Text);
                    json.WriteNumber("probability", answer.Probability);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
                json.WriteString("heatmap", drawing);
                DeviceProof.Write(json, backend);
            });
            return 0;
        });
    }

    private static void Draw(string file, string picture, Prediction prediction)
    {
        if (prediction.Heads == 0)
        {
            throw new DvpException("This DVP has no prompt attention to draw; leave --heatmap out.");
        }

        DecodedImage decoded = ImageDecoder.Decode(picture);
        HeatMap.Save(
            file,
            AttentionGrid.FromHeads(prediction.Attention, prediction.Heads, prediction.VisualTokens),
            new ReportPicture(File.ReadAllBytes(picture), decoded.Width, decoded.Height),
            decoded.Rgb);
    }
}
