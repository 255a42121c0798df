using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Profiling;
using Dvp.Prompting;
using Dvp.Settings;

namespace Dvp.Cli.Commands;

/// <summary>dvp bench: how fast this machine is at the work that models do.</summary>
internal static class BenchCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "bench", "Measures matrix products against the machine's multiply-add peak, operators, and whole models.",
            "dvp bench",
            "dvp bench --only products --threads 1",
            "dvp bench --only ops --device cuda",
            "dvp bench --only ops --list --json",
            "dvp bench --model samples/easy-vqa/language-model --vision-model samples/easy-vqa/vision-model --labels 13 --only models",
            "dvp bench --json > before.json",
            "dvp bench --compare before.json");
        Option<string> only = command.With(CommonOptions.OneOf(
            "--only", "What is measured (all: products and models; on a GPU products are among the ops):", "all", "all", "products", "models", "ops"));
        Option<bool> list = command.With(CommonOptions.Switch(
            "--list", "With --only ops: lists operators, shapes, FLOPs and bytes for 16-bit storage, and measures nothing. Default: measures."));
        Option<string?> filter = command.With(CommonOptions.Text(
            "--filter", "With --only ops: only operators whose name contains this. Default: all.", "text"));
        Option<string?> model = command.With(CommonOptions.Text(
            "--model", "Language model whose sizes the models have; weights are random. Default: BERT-base.", "folder"));
        Option<string?> vision = command.With(CommonOptions.Text(
            "--vision-model", "Vision model whose sizes hold. Default: CLIP ViT-B/16.", "folder"));
        Option<string?> dvp = command.With(CommonOptions.Text(
            "--dvp", "DVP folder whose sizes hold. Default: the paper's sizes.", "folder"));
        Option<int> layer = command.With(CommonOptions.Integer("--layer", "Insertion layer K.", 0, 1000, 0));
        Option<int> labels = command.With(CommonOptions.Integer("--labels", "Answers, where no --dvp says.", 1, 1_000_000, 3129));
        Option<int> batch = command.With(CommonOptions.Integer(
            "--batch", "Batch of the training step and of the second forward pass; of ops where given, else 64 and 256.", 1, 4096, 16));
        Option<double> seconds = command.With(CommonOptions.Number("--seconds", "Seconds that each row is measured for.", 0.01, 60, 0.5));
        Option<string?> compare = command.With(CommonOptions.Text(
            "--compare", "An earlier result of bench --json to judge by; a slower row gives exit code 1. Default: none.", "file"));
        DeviceOptions device = new(command);
        return command.Runs((parse, output) =>
        {
            BenchComparison? earlier = parse.GetValue(compare) is { } file ? BenchComparison.Load(file) : null;
            BertConfig bert = parse.GetValue(model) is { } folder ? BertConfig.Load(folder) : FlopsComparison.BertBase;
            ClipVisionConfig clip = parse.GetValue(vision) is { } tower ? ClipVisionConfig.Load(tower) : FlopsComparison.ClipBase;
            string what = parse.GetValue(only)!;
            if (what == "ops")
            {
                return BenchOps.Run(output, () => device.Open(parse, output), parse.GetValue(list), new OperatorBenchOptions
                {
                    Threads = device.Threads(parse),
                    Batches = parse.GetResult(batch) is { Implicit: false } ? [parse.GetValue(batch)] : [64, 256],
                    Seconds = parse.GetValue(seconds),
                    Filter = parse.GetValue(filter),
                    CublasLt = DvpEnvironment.CublasLt,
                    OnRow = name => output.Progress($"measuring {name}"),
                });
            }

            using Backend backend = device.Open(parse, output);
            BenchOptions options = new()
            {
                Threads = device.Threads(parse),
                Products = what != "models",
                Models = what != "products",
                Bert = bert,
                Dvp = parse.GetValue(dvp) is { } path ? DvpConfig.Load(path) : FlopsComparison.PaperDvp(bert, clip, parse.GetValue(labels)),
                VisualTokens = clip.Tokens,
                Layer = parse.GetValue(layer),
                Batches = [.. new[] { 1, parse.GetValue(batch) }.Distinct()],
                TrainingBatch = parse.GetValue(batch),
                Seconds = parse.GetValue(seconds),
                OnRow = name => output.Progress($"measuring {name}"),
            };
            BenchReport report = backend is CudaBackend gpu ? Bench.Run(options, gpu) : Bench.Run(options);
            IReadOnlyList<BenchChange> changes = earlier?.Compare(report) ?? [];
            Print(output, report, changes);
            output.Result(json => Write(json, report, changes, backend as CudaBackend));
            return (int)(changes.Any(c => c.Verdict == "slower") ? DvpExitCode.Difference : DvpExitCode.Success);
        });
    }

    private static void Print(CommandOutput output, BenchReport report, IReadOnlyList<BenchChange> changes)
    {
        output.Line($"{report.Device}, compiled {(report.Native ? "ahead of time" : "at run time")}");
        foreach ((int threads, double rate) in report.Peaks)
        {
            output.Line(string.Create(CultureInfo.InvariantCulture, $"multiply-add peak, {(threads == 0 ? "the GPU" : $"{threads} thread(s)")}: {rate:0.0} GFLOP/s"));
        }

        foreach (IGrouping<string, BenchRow> section in report.Rows.GroupBy(r => r.Section))
        {
            TextTable table = new(section.Key, ">median ms", ">p95 ms", ">best ms", ">runs", ">GFLOP/s", ">% of peak", ">best %");
            foreach (BenchRow row in section)
            {
                table.Row(
                    row.Name,
                    Milliseconds(row.Median),
                    Milliseconds(row.P95),
                    Milliseconds(row.Best),
                    row.Runs.ToString(CultureInfo.InvariantCulture),
                    row.Gigaflops?.ToString("0.0", CultureInfo.InvariantCulture) ?? "",
                    (100 * row.PeakShare)?.ToString("0", CultureInfo.InvariantCulture) ?? "",
                    (100 * row.PeakShare * row.Median / row.Best)?.ToString("0", CultureInfo.InvariantCulture) ?? "");
            }

            output.Line();
            output.Table(table);
        }

        foreach (BenchPass pass in report.Passes)
        {
            double all = pass.Operators.Sum(o => o.Seconds);
            TextTable table = new TextTable("operator", ">calls", ">ms", ">%").Title(string.Create(
                CultureInfo.InvariantCulture,
                $"{pass.Name}: {100 * pass.OutsideProducts:0} % of the operators' time is outside products with weights"));
            foreach (OperatorTime time in pass.Operators)
            {
                table.Row(
                    time.Name,
                    time.Calls.ToString(CultureInfo.InvariantCulture),
                    Milliseconds(time.Seconds),
                    (100 * time.Seconds / all).ToString("0.0", CultureInfo.InvariantCulture));
            }

            output.Line();
            output.Table(table);
        }

        if (changes.Count > 0)
        {
            TextTable table = new("compared", ">before, ms", ">now, ms", ">ratio", "verdict");
            foreach (BenchChange change in changes)
            {
                table.Row(
                    change.Name,
                    Milliseconds(change.Before),
                    Milliseconds(change.Now),
                    (change.Now / change.Before).ToString("0.00", CultureInfo.InvariantCulture),
                    change.Verdict);
            }

            output.Line();
            output.Table(table);
        }
    }

    private static void Write(Utf8JsonWriter json, BenchReport report, IReadOnlyList<BenchChange> changes, CudaBackend? gpu)
    {
        DeviceProof.Write(json, report.Device, report.Work, gpu);
        json.WriteBoolean("native", report.Native);
        json.WriteStartArray("peaks");
        foreach ((int threads, double rate) in report.Peaks)
        {
            json.WriteStartObject();
            json.WriteNumber("threads", threads);
            json.WriteNumber("gigaflops", rate);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("rows");
        foreach (BenchRow row in report.Rows)
        {
            json.WriteStartObject();
            json.WriteString("section", row.Section);
            json.WriteString("name", row.Name);
            json.WriteNumber("median_seconds", row.Median);
            json.WriteNumber("p95_seconds", row.P95);
            json.WriteNumber("best_seconds", row.Best);
            json.WriteNumber("runs", row.Runs);
            if (row.Gigaflops is { } rate && row.PeakShare is { } share)
            {
                json.WriteNumber("gigaflops", rate);
                json.WriteNumber("peak_share", share);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("passes");
        foreach (BenchPass pass in report.Passes)
        {
            json.WriteStartObject();
            json.WriteString("name", pass.Name);
            json.WriteNumber("outside_products", pass.OutsideProducts);
            json.WriteStartArray("operators");
            foreach (OperatorTime time in pass.Operators)
            {
                json.WriteStartObject();
                json.WriteString("name", time.Name);
                json.WriteNumber("calls", time.Calls);
                json.WriteNumber("seconds", time.Seconds);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("changes");
        foreach (BenchChange change in changes)
        {
            json.WriteStartObject();
            json.WriteString("name", change.Name);
            json.WriteNumber("before_seconds", change.Before);
            json.WriteNumber("now_seconds", change.Now);
            json.WriteString("verdict", change.Verdict);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static string Milliseconds(double seconds) => (1e3 * seconds).ToString("0.000", CultureInfo.InvariantCulture);
}
