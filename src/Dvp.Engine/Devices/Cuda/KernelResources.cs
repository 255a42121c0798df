using System.Globalization;
using System.Text.RegularExpressions;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>What one entry point needs of a multiprocessor, as the assembler reports it.</summary>
/// <param name="Entry">The entry point.</param>
/// <param name="Registers">Registers of a thread.</param>
/// <param name="SharedBytes">Static shared memory of a block, in bytes.</param>
/// <param name="StackBytes">Stack frame of a thread, in bytes, in local memory: arrays with run-time indices, and spills.</param>
/// <param name="SpillStoreBytes">Bytes that a thread stores because registers ran out.</param>
/// <param name="SpillLoadBytes">Bytes that it loads again.</param>
internal sealed partial record KernelResources(
    string Entry, int Registers, int SharedBytes, int StackBytes, int SpillStoreBytes, int SpillLoadBytes)
{
    /// <summary>What NVRTC has to be told to put these figures into its log.</summary>
    public const string CompilerOption = "--ptxas-options=-v";

    /// <summary>Whether registers ran out.</summary>
    public bool Spills => SpillStoreBytes + SpillLoadBytes > 0;

    /// <summary>Reads the log of a compilation that was given <see cref="CompilerOption"/>; other lines of the log are passed over.</summary>
    /// <param name="log">The program log.</param>
    /// <returns>The entry points in the order of the log; functions that are called and not inlined are no entry points.</returns>
    public static IReadOnlyList<KernelResources> Parse(string log)
    {
        List<KernelResources> found = [];
        string? entry = null;
        (int Stack, int Stores, int Loads) frame = default;
        bool own = false;
        foreach (string line in log.Split('\n'))
        {
            if (Entries().Match(line) is { Success: true } start)
            {
                (entry, frame) = (start.Groups[1].Value, default);
            }
            else if (Properties().Match(line) is { Success: true } properties)
            {
                own = properties.Groups[1].Value == entry;
            }
            else if (Frame().Match(line) is { Success: true } sizes && own)
            {
                frame = (Number(sizes, 1), Number(sizes, 2), Number(sizes, 3));
            }
            else if (Used().Match(line) is { Success: true } used && entry is not null)
            {
                Match shared = Shared().Match(line);
                found.Add(new KernelResources(
                    entry, Number(used, 1), shared.Success ? Number(shared, 1) : 0, frame.Stack, frame.Stores, frame.Loads));
                (entry, own) = (null, false);
            }
        }

        return found;
    }

    private static int Number(Match match, int group) => int.Parse(match.Groups[group].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"Compiling entry function '(\w+)'")]
    private static partial Regex Entries();

    [GeneratedRegex(@"Function properties for '?(\w+)")]
    private static partial Regex Properties();

    [GeneratedRegex(@"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")]
    private static partial Regex Frame();

    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex Used();

    [GeneratedRegex(@"(\d+)(?:\+\d+)? bytes smem")]
    private static partial Regex Shared();
}
