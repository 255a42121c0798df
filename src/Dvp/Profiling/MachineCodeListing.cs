using System.Globalization;
using System.Text.RegularExpressions;

namespace Dvp.Profiling;

/// <summary>One machine instruction.</summary>
/// <param name="Offset">Its place in the function, in bytes.</param>
/// <param name="Opcode">With its suffixes: <c>LDG.E.128.CONSTANT</c>.</param>
/// <param name="Operands">The rest of the line.</param>
public readonly record struct MachineInstruction(int Offset, string Opcode, string Operands)
{
    /// <summary>The opcode without suffixes: <c>LDG</c>.</summary>
    public string Name => Opcode.Split('.')[0];

    /// <summary>Bytes that each thread moves, for an instruction of memory: the suffix, or four.</summary>
    public int Bytes
    {
        get
        {
            foreach (string suffix in Opcode.Split('.'))
            {
                switch (suffix)
                {
                    case "U8" or "S8":
                        return 1;
                    case "U16" or "S16":
                        return 2;
                    case "64" or "128" or "256":
                        return int.Parse(suffix, CultureInfo.InvariantCulture) / 8;
                }
            }

            return 4;
        }
    }
}

/// <summary>The instructions of one function as nvdisasm lists them, and what they are.</summary>
public sealed partial class MachineCodeListing
{
    private static readonly string[] s_f32 = ["FADD", "FADD2", "FMUL", "FMUL2", "FMNMX", "FSETP", "FSEL", "FSET", "FCHK", "F2FP", "F2F", "F2I", "I2F"];
    private static readonly string[] s_integer =
    [
        "IMAD", "IADD", "IADD3", "VIADD", "LEA", "LOP3", "SHF", "ISETP", "SEL", "PRMT", "IABS", "VIMNMX", "IMNMX", "MOV", "PLOP3", "UIMAD", "UIADD3", "ULEA",
        "ULOP3", "USHF", "UISETP", "USEL", "UMOV", "UPRMT", "R2UR", "CS2R", "UPLOP3",
    ];

    private MachineCodeListing(string text, IReadOnlyList<MachineInstruction> instructions, IReadOnlyList<(int Start, int End)> loops) =>
        (Text, Instructions, Loops) = (text, instructions, loops);

    /// <summary>Labels and instructions, one a line, without what fills up the end.</summary>
    public string Text { get; }

    /// <summary>The instructions in order.</summary>
    public IReadOnlyList<MachineInstruction> Instructions { get; }

    /// <summary>Loops in the order of their beginnings, outer ones first: offsets of the first instruction and of the last branch back.</summary>
    public IReadOnlyList<(int Start, int End)> Loops { get; }

    /// <summary>The instructions of a loop without those of the loops in it.</summary>
    /// <param name="loop">One of <see cref="Loops"/>.</param>
    public IReadOnlyList<MachineInstruction> Of((int Start, int End) loop) =>
        [.. Instructions.Where(i => Loops.LastOrDefault(l => i.Offset >= l.Start && i.Offset <= l.End) == loop)];

    /// <summary>What the function consists of, and each of its loops without the loops in it, one line each.</summary>
    public IReadOnlyList<string> Summary() =>
    [
        Describe("whole function", Instructions),
        .. Loops.Select(l => Describe(string.Create(CultureInfo.InvariantCulture, $"{Inside(l)}loop {l.Start:x4}-{l.End:x4}"), Of(l))),
    ];

    /// <summary>Number of instructions of each kind that is there.</summary>
    /// <param name="instructions">The instructions.</param>
    public static IReadOnlyDictionary<string, int> Count(IEnumerable<MachineInstruction> instructions) =>
        instructions.GroupBy(Kind, StringComparer.Ordinal).OrderBy(g => Rank(g.Key)).ThenBy(g => g.Key, StringComparer.Ordinal)
            .ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);

    /// <summary>Reads a function's part of a listing.</summary>
    /// <param name="function">Directives, labels and instructions.</param>
    internal static MachineCodeListing Parse(string function)
    {
        List<string> kept = [];
        List<MachineInstruction> instructions = [];
        Dictionary<string, int> labels = new(StringComparer.Ordinal);
        List<string> waiting = []; // labels in front of the next instruction
        foreach (string line in function.Split('\n'))
        {
            if (Label().Match(line) is { Success: true } label)
            {
                waiting.Add(label.Groups[1].Value);
            }
            else if (Instruction().Match(line) is { Success: true } match)
            {
                int offset = int.Parse(match.Groups["offset"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                MachineInstruction instruction = new(offset, match.Groups["opcode"].Value, match.Groups["operands"].Value);
                if (instruction.Name == "NOP")
                {
                    continue;
                }

                waiting.ForEach(l => labels[l] = offset);
                kept.AddRange(waiting.Select(l => l + ":"));
                waiting.Clear();
                kept.Add(line.TrimEnd());
                instructions.Add(instruction);
            }
        }

        (int start, int Offset)[] back = [.. from i in instructions
                                          where i.Name == "BRA" && Target().Match(i.Operands) is { Success: true }
                                          let start = labels.GetValueOrDefault(Target().Match(i.Operands).Groups[1].Value, int.MaxValue)
                                          where start < i.Offset
                                          select (start, i.Offset)];
        (int Start, int End)[] loops = [.. back.GroupBy(l => l.start).Select(l => (l.Key, l.Max(one => one.Offset))).OrderBy(l => l.Key)];
        return new MachineCodeListing(string.Join('\n', kept), instructions, loops);
    }

    // Two spaces for each loop around it.
    private string Inside((int Start, int End) loop) => new(' ', 2 * Loops.Count(l => l.Start < loop.Start && l.End >= loop.End));

    private static string Describe(string what, IReadOnlyList<MachineInstruction> instructions) => string.Create(
        CultureInfo.InvariantCulture,
        $"{what}, {instructions.Count} instructions: {string.Join(", ", Count(instructions).Select(k => string.Create(CultureInfo.InvariantCulture, $"{k.Key} {k.Value}")))}");

    private static string Kind(MachineInstruction i) => i.Name switch
    {
        "LDGSTS" => $"LDGSTS{(i.Opcode.Contains(".BYPASS", StringComparison.Ordinal) ? ".BYPASS" : "")}.{8 * i.Bytes}",
        "LDG" or "STG" or "LDS" or "STS" or "LD" or "ST" => $"{i.Name}.{8 * i.Bytes}",
        "FFMA" or "FFMA2" or "LDSM" or "LDL" or "STL" or "MUFU" or "BAR" or "SHFL" => i.Name,
        { } name when name.EndsWith("MMA", StringComparison.Ordinal) => name,
        { } name when name.StartsWith("HFMA2", StringComparison.Ordinal) || name.StartsWith("HADD2", StringComparison.Ordinal)
            || name.StartsWith("HMUL2", StringComparison.Ordinal) => "16-bit arithmetic",
        { } name when s_f32.Contains(name) => "other f32",
        { } name when s_integer.Contains(name) => "integer",
        "BRA" or "BRX" or "BSSY" or "BSYNC" or "CALL" or "RET" or "EXIT" or "WARPSYNC" or "BREAK" or "YIELD" => "control",
        _ => "other",
    };

    // Arithmetic, memory from near to far, spills, then the rest.
    private static int Rank(string kind)
    {
        string[] order = ["FFMA", "other f32", "16-bit", "MUFU", "LDSM", "LDS", "STS", "LDGSTS", "LDG", "STG", "LD.", "ST.", "LDL", "STL", "BAR", "SHFL", "integer", "control", "other"];
        int at = kind.EndsWith("MMA", StringComparison.Ordinal) ? -1 : Array.FindIndex(order, o => kind.StartsWith(o, StringComparison.Ordinal));
        return kind == "other" ? order.Length : at;
    }

    [GeneratedRegex(@"^(\.?[\w.$]+):\s*$")]
    private static partial Regex Label();

    [GeneratedRegex(@"^\s*/\*(?<offset>[0-9a-f]+)\*/\s+(?:@!?U?P\w+\s+)?(?<opcode>[A-Z][\w.]*)\s*(?<operands>[^;]*);")]
    private static partial Regex Instruction();

    [GeneratedRegex(@"`\((\.?[\w.$]+)\)")]
    private static partial Regex Target();
}
