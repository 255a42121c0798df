using System.Globalization;
using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Profiling;

namespace Dvp.Cli.Commands;

/// <summary>dvp bench --only ops: operators one by one, against the roofline of the device.</summary>
internal static class BenchOps
{
    private const int ListedElement = 2; // bytes of an element in a list: what GPUs store

    public static int Run(CommandOutput output, Func<Backend> open, bool list, OperatorBenchOptions options)
    {
        if (list)
        {
            List(output, OperatorBench.List(options, ListedElement));
            return 0;
        }

        using Backend backend = open();
        OpReport report = OperatorBench.Run(backend, options);
        Print(output, report);
        output.Result(json =>
        {
            json.WriteBoolean("native", !System.Runtime.CompilerServices.RuntimeFeature.IsDynamicCodeCompiled);
            json.WriteString("type", report.Type);
            json.WriteNumber("copy_bytes_per_second", report.CopyBytesPerSecond);
            json.WriteNumber("flops_per_second", report.FlopsPerSecond);
            DeviceProof.Write(json, backend);
            json.WriteStartArray("ops");
            foreach (OpRow row in report.Rows)
            {
                json.WriteStartObject();
                Describe(json, row.Case);
                json.WriteNumber("median_seconds", row.Median);
                json.WriteNumber("p95_seconds", row.P95);
                json.WriteNumber("runs", row.Runs);
                json.WriteNumber("sets", row.Sets);
                json.WriteNumber("floor_seconds", row.Floor);
                json.WriteNumber("roofline_share", row.RooflineShare);
                if (row.CublasLt is { } peer)
                {
                    json.WriteNumber("cublaslt_seconds", peer);
                }

                json.WriteNumber("drift", row.Drift);
                json.WriteString("refused", row.Refused);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
        return 0;
    }

    private static void Print(CommandOutput output, OpReport report)
    {
        output.Line($"{report.Device}, {report.Type}");
        output.Line(string.Create(
            CultureInfo.InvariantCulture,
            $"measured roofline: copy {report.CopyBytesPerSecond / 1e9:0.0} GB/s, multiply-add {report.FlopsPerSecond / 1e12:0.000} TFLOP/s"));
        TextTable table = new("operator", ">median us", ">p95 us", ">floor us", ">% of roofline", ">GB/s", ">TFLOP/s", ">cuBLASLt us", "note");
        foreach (OpRow row in report.Rows)
        {
            bool timed = row.Refused is null;
            string drift = row.Drift > 0.02 ? string.Create(CultureInfo.InvariantCulture, $"clock moved {100 * row.Drift:0.0} %") : "";
            table.Row(
                row.Case.Name,
                timed ? Number(1e6 * row.Median, "0.0") : "",
                timed ? Number(1e6 * row.P95, "0.0") : "",
                Number(1e6 * row.Floor, "0.0"),
                timed ? Number(100 * row.RooflineShare, "0") : "",
                timed ? Number(row.Case.Bytes / row.Median / 1e9, "0.0") : "",
                timed ? Number(row.Case.Flops / row.Median / 1e12, "0.000") : "",
                row.CublasLt is { } peer ? Number(1e6 * peer, "0.0") : "",
                row.Refused is { } why ? $"refused: {why}" : drift);
        }

        output.Table(table);
    }

    private static void List(CommandOutput output, IReadOnlyList<OpCase> cases)
    {
        TextTable table = new("operator", ">MFLOP", ">MB");
        foreach (OpCase one in cases)
        {
            table.Row(one.Name, Number(one.Flops / 1e6, "0.0"), Number(one.Bytes / 1e6, "0.00"));
        }

        output.Table(table);
        output.Result(json =>
        {
            json.WriteStartArray("ops");
            foreach (OpCase one in cases)
            {
                json.WriteStartObject();
                Describe(json, one);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
    }

    private static void Describe(Utf8JsonWriter json, OpCase one)
    {
        json.WriteString("op", one.Op);
        json.WriteStartObject("sizes");
        foreach (OpSize size in one.Sizes)
        {
            json.WriteNumber(size.Name, size.Value);
        }

        json.WriteEndObject();
        json.WriteNumber("flops", one.Flops);
        json.WriteNumber("bytes", one.Bytes);
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
