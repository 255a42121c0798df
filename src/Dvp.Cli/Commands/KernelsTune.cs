using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Profiling;

namespace Dvp.Cli.Commands;

/// <summary>dvp kernels tune: the fastest tile and split of each product, measured on this GPU.</summary>
internal static class KernelsTune
{
    public static DvpCommand Create(CliHost host)
    {
        DvpCommand command = new(
            host, "tune", "Measures every tile and split of the products of DVP-BERT-base on this GPU, and keeps what is faster than the planned way.",
            "dvp kernels tune",
            "dvp kernels tune --batch 32 --dtype f16 --json");
        Option<int> batch = command.With(CommonOptions.Integer("--batch", "Questions of a batch; where not given, both 64 and 256.", 1, 4096, 64));
        Option<double> seconds = command.With(CommonOptions.Number("--seconds", "Seconds that each way is measured for.", 0.001, 60, 0.05));
        DeviceOptions device = new(command);
        return command.Runs((parse, output) =>
        {
            using Backend backend = device.Open(parse, output);
            if (backend is not CudaBackend gpu)
            {
                throw new DvpException("Tiles and splits are those of CUDA kernels, and no GPU was found; dvp doctor says what is missing.", exitCode: DvpExitCode.NoDevice);
            }

            IReadOnlyList<TunedProduct> products = ProductTuner.Run(gpu, new OperatorBenchOptions
            {
                Batches = parse.GetResult(batch) is { Implicit: false } ? [parse.GetValue(batch)] : [64, 256],
                Seconds = parse.GetValue(seconds),
                OnRow = name => output.Progress($"measuring {name}"),
            });
            Print(output, gpu, products);
            output.Result(json => Write(json, gpu, products));
            return 0;
        });
    }

    private static void Print(CommandOutput output, CudaBackend gpu, IReadOnlyList<TunedProduct> products)
    {
        TextTable table = new("product", ">ways tried", ">planned us", ">best us", "kept");
        foreach (TunedProduct p in products)
        {
            table.Row(
                p.Case.Name, Number(p.Tried, "0"), Number(1e6 * p.Planned, "0.0"), Number(1e6 * p.Best, "0.0"),
                p.Way is { } way ? $"{way.TileM} x {way.TileN}, {way.Splits} split(s)" : "the planned way");
        }

        output.Table(table);
        output.Line($"{gpu.Name}: {gpu.TunedProducts} products have a measured way");
    }

    private static void Write(Utf8JsonWriter json, CudaBackend gpu, IReadOnlyList<TunedProduct> products)
    {
        DeviceProof.Write(json, gpu);
        json.WriteStartArray("products");
        foreach (TunedProduct p in products)
        {
            json.WriteStartObject();
            json.WriteString("form", p.Shape.Form.ToString());
            json.WriteNumber("rows", p.Shape.Rows);
            json.WriteNumber("columns", p.Shape.Columns);
            json.WriteNumber("depth", p.Shape.Depth);
            json.WriteNumber("ways", p.Tried);
            json.WriteNumber("planned_seconds", p.Planned);
            json.WriteNumber("best_seconds", p.Best);
            if (p.Way is { } way)
            {
                json.WriteNumber("tile_m", way.TileM);
                json.WriteNumber("tile_n", way.TileN);
                json.WriteNumber("splits", way.Splits);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
