using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Evaluation;

namespace Dvp.Cli.Commands;

/// <summary>dvp forward: any model on given tensors, every named state into a file.</summary>
internal static class ForwardCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "forward", "Runs a model on given tensors and writes every named state, the loss and the gradients.",
            "dvp forward --model bert-base-uncased --inputs in.safetensors --output out.safetensors",
            "dvp forward --model case/language-model --dvp case --inputs case/inputs.safetensors --output out.safetensors --gradients");
        Option<string> model = command.With(CommonOptions.Required(
            "--model", "Hugging Face folder of a BERT, T5, LLaMA or CLIP vision model.", "folder"));
        Option<string?> dvp = command.With(CommonOptions.Text("--dvp", "DVP folder. Default: the model alone.", "folder"));
        Option<string> inputs = command.With(CommonOptions.Required(
            "--inputs",
            "safetensors file with input_ids, attention_mask, token_type_ids, decoder_input_ids, visual_features or pixel_values; a loss by labels, "
                + "targets or cotangent.", "file"));
        Option<string> target = command.With(CommonOptions.Required("--output", "safetensors file to write.", "file"));
        Option<bool> gradients = command.With(CommonOptions.Switch(
            "--gradients", "Also writes the gradients: of what the DVP trains, or of all of a model alone. Default: off."));
        Option<bool> force = command.With(CommonOptions.Switch(
            "--force", "Accepts a DVP that was trained on another language model. Default: off."));
        DeviceOptions device = new(command);
        return command.Runs((parse, output) =>
        {
            using Backend backend = device.Open(parse, output);
            TensorArchive given = TensorArchive.Load(parse.GetRequiredValue(inputs));
            long start = Stopwatch.GetTimestamp();
            TensorArchive results = ModelForward.Run(
                parse.GetRequiredValue(model), parse.GetValue(dvp), given, backend, parse.GetValue(gradients), parse.GetValue(force));
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            string path = parse.GetRequiredValue(target);
            results.Save(path);
            output.Line(string.Create(
                CultureInfo.InvariantCulture, $"{results.Names.Count} tensors in {path} ({backend.Name}, {seconds:0.00} s with loading)."));
            output.Result(json =>
            {
                json.WriteString("output", path);
                json.WriteNumber("seconds", seconds);
                json.WriteStartArray("tensors");
                foreach (string name in results.Names)
                {
                    json.WriteStringValue(name);
                }

                json.WriteEndArray();
                DeviceProof.Write(json, backend);
            });
            return 0;
        });
    }
}
