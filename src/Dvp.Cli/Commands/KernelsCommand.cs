using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.IO;
using Dvp.Profiling;
using Dvp.Settings;

namespace Dvp.Cli.Commands;

/// <summary>dvp kernels: the CUDA kernels to look at, and compiled without a GPU.</summary>
internal static class KernelsCommand
{
    private static readonly string[] s_types = ["f32", "bf16", "f16"];

    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "kernels", "Lists the CUDA kernels, compiles them for other machines, and shows what they need of a GPU; only tune needs one.",
            "dvp kernels list",
            "dvp kernels build --arch sm_80,sm_90a --out compiled",
            "dvp kernels show layernorm_forward_warp_per_row --sass --arch sm_90a",
            "dvp kernels resources",
            "dvp kernels tune");
        command.Add(List(host));
        command.Add(Build(host));
        command.Add(Show(host));
        command.Add(Resources(host));
        command.Add(KernelsTune.Create(host));
        return command.Runs((_, output) => Print(output));
    }

    private static DvpCommand List(CliHost host) => new DvpCommand(
        host, "list", "Lists kernel files, the variants that they are compiled in, and their entry points.",
        "dvp kernels list",
        "dvp kernels list --json").Runs((_, output) => Print(output));

    private static int Print(CommandOutput output)
    {
        IReadOnlyList<KernelListing> all = KernelTools.List();
        TextTable table = new("file", "type", "options", "entry points");
        foreach (KernelListing one in all)
        {
            table.Row($"{one.File}.cu", one.Real, one.Options, string.Join(' ', one.Entries));
        }

        output.Table(table);
        output.Line(string.Create(
            CultureInfo.InvariantCulture,
            $"{all.Count} variants of {all.Select(k => k.File).Distinct().Count()} files, {all.SelectMany(k => k.Entries).Distinct().Count()} entry points"));
        output.Result(json =>
        {
            json.WriteStartArray("kernels");
            foreach (KernelListing one in all)
            {
                json.WriteStartObject();
                json.WriteString("file", one.File);
                json.WriteString("type", one.Real);
                json.WriteString("options", one.Options);
                json.WriteStartArray("entries");
                foreach (string entry in one.Entries)
                {
                    json.WriteStringValue(entry);
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
        return 0;
    }

    private static DvpCommand Build(CliHost host)
    {
        DvpCommand command = new(
            host, "build", "Compiles every kernel into a folder, so that the machine that runs them needs nothing but the driver.",
            "dvp kernels build --arch sm_80,sm_90a --out compiled",
            "dvp kernels build --arch sm_90a --type bf16 --out compiled --ptx none");
        Option<string[]> arch = command.With(Architectures());
        Option<string> folder = command.With(CommonOptions.Required("--out", "Folder to write; DVP_KERNELS_DIR names it where they run.", "folder"));
        Option<string> ptx = command.With(CommonOptions.OneOf(
            "--ptx", "Also portable code, for GPUs newer than the listed ones:", KernelTools.PortableTarget, KernelTools.PortableTarget, "none"));
        Option<string?> type = command.With(CommonOptions.OptionalOneOf(
            "--type", "Only what runs of one storage type need (f32 kernels are part of every run):", "all", s_types));
        return command.Runs((parse, output) =>
        {
            string[] targets = parse.GetValue(arch)!;
            string portable = parse.GetValue(ptx)!;
            string path = parse.GetValue(folder)!;
            KernelBuild built = KernelTools.Build(
                DvpEnvironment.CudaOptions(output.Note), portable == "none" ? targets : [.. targets, portable], path, Progress(output),
                parse.GetValue(type) is { } only ? [only] : null);
            output.Line(string.Create(
                CultureInfo.InvariantCulture, $"{path}: {built.Files} files, {built.Bytes / 1048576.0:0.0} MiB, by NVRTC {built.Compiler}"));
            output.Result(json =>
            {
                json.WriteString("folder", path);
                json.WriteString("compiler", built.Compiler);
                json.WriteNumber("files", built.Files);
                json.WriteNumber("bytes", built.Bytes);
            });
            return 0;
        });
    }

    private static DvpCommand Show(CliHost host)
    {
        DvpCommand command = new(
            host, "show", "Compiles one kernel and shows registers, shared memory, spills and occupancy, or its machine code.",
            "dvp kernels show layernorm_forward_warp_per_row",
            "dvp kernels show layernorm_forward_warp_per_row --arch sm_90a --type bf16 --sass",
            "dvp kernels show matmul_mma_forward --options tile_n=64 --arch sm_80 --sass");
        Argument<string> entry = command.Argument("entry", "Entry point, as kernels list names it.");
        Option<string[]> arch = command.With(Architectures());
        Option<string?> type = command.With(CommonOptions.OptionalOneOf("--type", "Only one storage type:", "all; bf16 with --sass", s_types));
        Option<string?> options = command.With(CommonOptions.Text(
            "--options", "Only variants with these definitions, as kernels list has them (\"tile_m=128 tile_n=64\"). Default: all; the first with --sass.",
            "definitions"));
        Option<bool> sass = command.With(CommonOptions.Switch(
            "--sass",
            "The instructions for the first architecture, and how many of each kind the function and each of its loops have, where CUDA's nvdisasm is found. "
                + "Default: the figures."));
        return command.Runs((parse, output) =>
        {
            string name = parse.GetValue(entry)!;
            string[] targets = parse.GetValue(arch)!;
            string? only = parse.GetValue(type), definitions = parse.GetValue(options);
            if (parse.GetValue(sass))
            {
                PrintInstructions(output, name, targets[0], only, definitions);
                return 0;
            }

            Print(output, [.. KernelTools.Measure(DvpEnvironment.CudaOptions(), targets, name, Progress(output))
                .Where(f => (only is null || f.Real == only) && KernelTools.Has(f.Options, definitions))]);
            return 0;
        });
    }

    private static void PrintInstructions(CommandOutput output, string entry, string architecture, string? type, string? definitions)
    {
        Disassembler disassembler = Disassembler.Find(); // before anything is compiled
        (KernelListing variant, byte[] machine) = KernelTools.MachineCode(DvpEnvironment.CudaOptions(), architecture, entry, type, definitions);
        MachineCodeListing code = disassembler.Disassemble(machine, entry);
        output.Line(code.Text);
        output.Line($"{entry}, {variant.Real}{(variant.Options.Length > 0 ? " " : "")}{variant.Options}, {architecture}");
        foreach (string line in code.Summary())
        {
            output.Line(line);
        }

        output.Result(json =>
        {
            json.WriteString("type", variant.Real);
            json.WriteString("options", variant.Options);
            json.WriteString("arch", architecture);
            json.WriteString("sass", code.Text);
            Write(json, "counts", code.Instructions);
            json.WriteStartArray("loops");
            foreach ((int Start, int End) loop in code.Loops)
            {
                json.WriteStartObject();
                json.WriteNumber("start", loop.Start);
                json.WriteNumber("end", loop.End);
                Write(json, "counts", code.Of(loop));
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
    }

    private static void Write(Utf8JsonWriter json, string name, IReadOnlyList<MachineInstruction> instructions)
    {
        json.WriteStartObject(name);
        json.WriteNumber("total", instructions.Count);
        foreach ((string kind, int count) in MachineCodeListing.Count(instructions))
        {
            json.WriteNumber(kind, count);
        }

        json.WriteEndObject();
    }

    private static DvpCommand Resources(CliHost host)
    {
        DvpCommand command = new(
            host, "resources", "Compiles every kernel for every architecture and writes the table of what they need.",
            "dvp kernels resources",
            "dvp kernels resources --output kernels/RESOURCES.md");
        Option<string> file = command.With(CommonOptions.Text("--output", "File to write.", "file", "kernels/RESOURCES.md"));
        return command.Runs((parse, output) =>
        {
            string path = parse.GetValue(file)!;
            string table = KernelTools.ResourceTable(DvpEnvironment.CudaOptions(), Progress(output));
            bool same = File.Exists(path) && File.ReadAllText(path) == table;
            AtomicFile.WriteText(path, table);
            output.Line(same ? $"{path}: as it was" : $"{path}: written");
            output.Result(json =>
            {
                json.WriteString("file", path);
                json.WriteBoolean("changed", !same);
            });
            return 0;
        });
    }

    private static Option<string[]> Architectures() => new("--arch")
    {
        Description = $"Architectures, separated by commas. Default: {string.Join(',', KernelTools.Architectures)}.",
        HelpName = "sm_NN,...",
        DefaultValueFactory = _ => [.. KernelTools.Architectures],
        CustomParser = result =>
        {
            string[] names = result.Tokens[0].Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (names.Length == 0 || names.Any(n => !n.StartsWith("sm_", StringComparison.Ordinal)))
            {
                result.AddError($"--arch is \"{result.Tokens[0].Value}\", but it must be architectures such as sm_80,sm_90a");
            }

            return names;
        },
    };

    private static Action<int, int> Progress(CommandOutput output) => (done, all) => output.Progress(string.Create(
        CultureInfo.InvariantCulture, $"compiled {done} of {all}"));

    private static void Print(CommandOutput output, IReadOnlyList<KernelFigures> figures)
    {
        TextTable table = new(
            "type", "options", "arch", ">registers", ">shared", ">stack", ">spill stores", ">spill loads", ">threads", ">occupancy %");
        foreach (KernelFigures f in figures)
        {
            table.Row(
                f.Real, f.Options, f.Architecture, Number(f.Registers), Number(f.SharedBytes + f.DynamicSharedBytes), Number(f.StackBytes),
                Number(f.SpillStoreBytes), Number(f.SpillLoadBytes), Number(f.Threads),
                (100 * f.Occupancy)?.ToString("0", CultureInfo.InvariantCulture) ?? "");
        }

        output.Table(table);
        output.Result(json =>
        {
            json.WriteStartArray("figures");
            foreach (KernelFigures f in figures)
            {
                Write(json, f);
            }

            json.WriteEndArray();
        });
    }

    private static void Write(Utf8JsonWriter json, KernelFigures f)
    {
        json.WriteStartObject();
        json.WriteString("entry", f.Entry);
        json.WriteString("file", f.File);
        json.WriteString("type", f.Real);
        json.WriteString("options", f.Options);
        json.WriteString("arch", f.Architecture);
        json.WriteNumber("registers", f.Registers);
        json.WriteNumber("shared_bytes", f.SharedBytes);
        json.WriteNumber("dynamic_shared_bytes", f.DynamicSharedBytes);
        json.WriteNumber("stack_bytes", f.StackBytes);
        json.WriteNumber("spill_store_bytes", f.SpillStoreBytes);
        json.WriteNumber("spill_load_bytes", f.SpillLoadBytes);
        json.WriteNumber("threads", f.Threads);
        if (f.Occupancy is { } occupancy)
        {
            json.WriteNumber("occupancy", occupancy);
        }

        json.WriteEndObject();
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
