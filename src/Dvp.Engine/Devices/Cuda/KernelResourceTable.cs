using System.Globalization;
using System.Text;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>One entry point of one variant as it was compiled for one architecture.</summary>
/// <param name="Variant">The compilation.</param>
/// <param name="Architecture">What for: sm_90a.</param>
/// <param name="Resources">What the assembler reports.</param>
/// <param name="LaunchBounds">Threads of the largest block that the kernel declares; null where it declares none.</param>
internal sealed record CompiledEntry(KernelVariant Variant, string Architecture, KernelResources Resources, int? LaunchBounds);

/// <summary>
/// The table kernels/RESOURCES.md: registers, shared memory, stack, spills and theoretical occupancy of every entry point, variant and
/// architecture. It is committed, and a test compiles everything anew and compares, so that a change of any figure is seen in review.
/// </summary>
internal static class KernelResourceTable
{
    /// <summary>Threads of a block that are assumed where a kernel declares no bound and <see cref="CudaBackend.UsualLaunch"/> does not know it.</summary>
    public const int AssumedThreads = 256;

    /// <summary>The whole file.</summary>
    /// <param name="entries">Every entry point of every variant and architecture, in any order.</param>
    /// <param name="compiler">Version of the compiler: figures differ from version to version.</param>
    public static string ToMarkdown(IReadOnlyList<CompiledEntry> entries, string compiler)
    {
        StringBuilder text = new();
        string[] names = [.. GpuArchitecture.All.Select(a => a.Name)];
        text.Append(CultureInfo.InvariantCulture, $"""
            # Resources of every kernel

            Written by `dvp kernels resources` with NVRTC {compiler}; a test compiles every variant anew and fails where this file differs.
            {entries.Select(e => (e.Variant.File, e.Resources.Entry)).Distinct().Count()} entry points, {entries.Select(e => e.Variant).Distinct().Count()} variants, {names.Length} architectures.

            A cell has the registers of a thread and the theoretical occupancy of a block of `threads` threads with `shared` bytes (static + dynamic);
            spills (bytes stored + loaded) and stack (bytes of local memory) where there are any. Threads in parentheses are an assumption: the kernel
            declares no bound and no usual launch is listed. Shared memory that a launch adds is known for the usual launches only.


            """);
        foreach (GpuArchitecture architecture in GpuArchitecture.All)
        {
            text.Append(CultureInfo.InvariantCulture, $"- {architecture}\n");
        }

        foreach (IGrouping<string, CompiledEntry> file in entries.GroupBy(e => e.Variant.File).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {file.Key}.cu\n");
            text.Append(CultureInfo.InvariantCulture, $"| entry | real | options | threads | shared | {string.Join(" | ", names)} |\n");
            text.Append("|---|---|---|---:|---:|").Append(string.Concat(Enumerable.Repeat("---|", names.Length))).Append('\n');
            foreach (IGrouping<(string Entry, ElementType Real, string Options), CompiledEntry> row in file
                .GroupBy(e => (e.Resources.Entry, e.Variant.Real, e.Variant.Options))
                .OrderBy(g => g.Key.Entry, StringComparer.Ordinal).ThenBy(g => g.Key.Options, StringComparer.Ordinal).ThenBy(g => g.Key.Real))
            {
                Append(text, row.Key.Entry, row.Key.Real, row.Key.Options, [.. row], names);
            }
        }

        AppendSpills(text, entries);
        return text.ToString().ReplaceLineEndings("\n");
    }

    /// <summary>Threads and dynamic shared memory that occupancy is computed with.</summary>
    public static (int Threads, int DynamicSharedBytes, bool Assumed) Shape(CompiledEntry entry) =>
        CudaBackend.UsualLaunch(entry.Resources.Entry, entry.Variant) is { } shape ? (shape.Threads, shape.DynamicSharedBytes, false)
        : (entry.LaunchBounds ?? AssumedThreads, 0, entry.LaunchBounds is null);

    private static void Append(StringBuilder text, string entry, ElementType real, string options, CompiledEntry[] compiled, string[] names)
    {
        (int threads, int dynamic, bool assumed) = Shape(compiled[0]);
        string block = assumed ? Text($"({threads})") : Text($"{threads}");
        int fixedBytes = compiled[0].Resources.SharedBytes;
        string shared = dynamic > 0 ? Text($"{fixedBytes} + {dynamic}") : Text($"{fixedBytes}");
        text.Append(CultureInfo.InvariantCulture, $"| {entry} | {real.ToString().ToLowerInvariant()} | {options} | {block} | {shared} |");
        foreach (string name in names)
        {
            CompiledEntry? one = Array.Find(compiled, c => c.Architecture == name);
            text.Append(' ').Append(one is null ? "not compiled" : Cell(one)).Append(" |");
        }

        text.Append('\n');
    }

    /// <summary>One cell: registers, occupancy, and spills and stack where there are any.</summary>
    internal static string Cell(CompiledEntry entry)
    {
        KernelResources r = entry.Resources;
        (int threads, int dynamic, _) = Shape(entry);
        GpuArchitecture architecture = GpuArchitecture.All.Single(a => a.Name == entry.Architecture);
        double occupancy = architecture.Occupancy(r.Registers, r.SharedBytes + dynamic, threads);
        string spills = r.Spills ? Text($", spills {r.SpillStoreBytes} + {r.SpillLoadBytes}") : "";
        string stack = r.StackBytes > 0 ? Text($", stack {r.StackBytes}") : "";
        return Text($"{r.Registers}, {100 * occupancy:0} %{spills}{stack}");
    }

    private static void AppendSpills(StringBuilder text, IReadOnlyList<CompiledEntry> entries)
    {
        text.Append("\n## Spills\n");
        string[] spilling = [.. entries.Where(e => e.Resources.Spills).Select(e => e.Resources.Entry).Distinct().Order(StringComparer.Ordinal)];
        text.Append(spilling.Length == 0 ? "No kernel spills.\n" : "| entry | why it may |\n|---|---|\n");
        foreach (string entry in spilling)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {entry} | {KernelSpills.Reason(entry) ?? "no reason is written"} |\n");
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
