using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Profiling;
using Dvp.Prompting;

namespace Dvp.Cli.Commands;

/// <summary>dvp flops: what an answer costs, analytically, op by op.</summary>
internal static class FlopsCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "flops", "Counts FLOPs per op for DVP absorbed, DVP with K/V projected, and all visual tokens, at any layer K.",
            "dvp flops --bert-base --layer 11",
            "dvp flops --model samples/easy-vqa/language-model --vision-model samples/easy-vqa/vision-model --layer 0 --labels 13",
            "dvp flops --bert-base --layer 0 --training --with-encoder --json");
        Option<string?> model = command.With(CommonOptions.Text("--model", "Language model. Default: BERT-base.", "folder"));
        Option<bool> bertBase = command.With(CommonOptions.Switch(
            "--bert-base", "BERT-base with CLIP ViT-B/16, without any file. Default without --model."));
        Option<string?> dvp = command.With(CommonOptions.Text(
            "--dvp", "DVP folder whose sizes hold. Default: the paper's sizes.", "folder"));
        Option<string?> vision = command.With(CommonOptions.Text(
            "--vision-model", "Vision model. Default: CLIP ViT-B/16, 197 tokens of 768.", "folder"));
        Option<int?> layer = command.With(CommonOptions.OptionalInteger("--layer", "Insertion layer K.", 0, 1000, "that of --dvp, else 0"));
        Option<int?> text = command.With(CommonOptions.OptionalInteger(
            "--text-tokens", "Tokens of the question.", 1, 4096, "that of --dvp, else 16"));
        Option<int?> visual = command.With(CommonOptions.OptionalInteger(
            "--visual-tokens", "Tokens of the picture.", 1, 65536, "what the vision model makes"));
        Option<int> batch = command.With(CommonOptions.Integer("--batch", "Samples; bytes of weights are shared by them.", 1, 65536, 1));
        Option<int> labels = command.With(CommonOptions.Integer("--labels", "Answers, where no --dvp says.", 1, 1_000_000, 3129));
        Option<bool> noAdapters = command.With(CommonOptions.Switch("--no-adapters", "Counts the model without adapters. Default: with."));
        Option<bool> allRows = command.With(CommonOptions.Switch(
            "--all-rows", "All rows of the last layer. Default: only the row that the head reads."));
        Option<bool> encoder = command.With(CommonOptions.Switch(
            "--with-encoder", "Also lists the visual encoder. Default: cached features."));
        Option<bool> training = command.With(CommonOptions.Switch("--training", "A training step. Default: a forward pass."));
        command.Validators.Add(result =>
        {
            if (result.GetResult(model) is not null && result.GetValue(bertBase))
            {
                result.AddError("--model and --bert-base exclude each other");
            }
        });
        return command.Runs((parse, output) =>
        {
            BertConfig bert = parse.GetValue(model) is { } folder ? BertConfig.Load(folder) : FlopsComparison.BertBase;
            ClipVisionConfig clip = parse.GetValue(vision) is { } tower ? ClipVisionConfig.Load(tower) : FlopsComparison.ClipBase;
            DvpConfig config = parse.GetValue(dvp) is { } path
                ? DvpConfig.Load(path)
                : FlopsComparison.PaperDvp(bert, clip, parse.GetValue(labels), !parse.GetValue(noAdapters));
            FlopsSettings settings = new()
            {
                Bert = bert,
                Dvp = config,
                Vision = clip,
                Layer = parse.GetValue(layer) ?? config.Layer ?? 0,
                TextTokens = parse.GetValue(text),
                VisualTokens = parse.GetValue(visual),
                Batch = parse.GetValue(batch),
                OnlyReadRow = !parse.GetValue(allRows),
                Training = parse.GetValue(training),
            };
            FlopsComparison comparison = FlopsComparison.Make(settings, parse.GetValue(encoder));
            Print(output, settings, comparison);
            output.Result(json => Write(json, settings, comparison));
            return 0;
        });
    }

    private static void Print(CommandOutput output, FlopsSettings settings, FlopsComparison comparison)
    {
        TextTable table = new TextTable("part", "op", ">DVP absorbed", ">DVP, K and V projected", ">all visual tokens").Title(string.Create(
            CultureInfo.InvariantCulture,
            $"MFLOP of a {(settings.Training ? "training step" : "forward pass")} per sample; K = {settings.Layer}, "
                + $"{settings.TextTokens ?? settings.Dvp.TextLength} text tokens, "
                + $"{settings.VisualTokens ?? settings.Vision!.Tokens} visual tokens"));
        foreach (FlopsComparisonRow row in comparison.Rows)
        {
            if (row.Absorbed + row.Projected + row.AllTokens > 0)
            {
                table.Row(FlopsTable.PartName(row.Part), row.Op, Mega(row.Absorbed), Mega(row.Projected), Mega(row.AllTokens));
            }
        }

        table.Row(
            "total", "", Mega(comparison.Rows.Sum(r => r.Absorbed)), Mega(comparison.Rows.Sum(r => r.Projected)),
            Mega(comparison.Rows.Sum(r => r.AllTokens)));
        output.Table(table);
        output.Line();
        TextTable totals = new TextTable("last layer", "visual encoder", ">DVP absorbed", ">DVP, K and V projected", ">all visual tokens")
            .Title("Totals, MFLOP per sample");
        foreach (FlopsTotals total in comparison.Totals)
        {
            totals.Row(
                total.OnlyReadRow ? "the row that is read" : "all rows",
                total.WithEncoder ? "counted" : "features cached",
                Mega(total.Absorbed),
                Mega(total.Projected),
                Mega(total.AllTokens));
        }

        output.Table(totals);
    }

    private static void Write(Utf8JsonWriter json, FlopsSettings settings, FlopsComparison comparison)
    {
        json.WriteNumber("layer", settings.Layer ?? 0);
        json.WriteNumber("batch", settings.Batch);
        json.WriteStartArray("forms");
        comparison.Absorbed.WriteJson(json);
        comparison.Projected.WriteJson(json);
        comparison.AllTokens.WriteJson(json);
        json.WriteEndArray();
        json.WriteStartArray("totals");
        foreach (FlopsTotals total in comparison.Totals)
        {
            json.WriteStartObject();
            json.WriteBoolean("only_read_row", total.OnlyReadRow);
            json.WriteBoolean("visual_encoder", total.WithEncoder);
            json.WriteNumber("absorbed", total.Absorbed);
            json.WriteNumber("projected", total.Projected);
            json.WriteNumber("all_tokens", total.AllTokens);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static string Mega(double flops) => (flops / 1e6).ToString("N2", CultureInfo.InvariantCulture);
}
