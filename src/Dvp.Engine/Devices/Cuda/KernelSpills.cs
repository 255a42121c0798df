namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// Kernels that may run out of registers, each with the reason: the compile gate fails for any other that spills, and for one that is
/// listed here and spills no more.
/// </summary>
internal static class KernelSpills
{
    private static readonly Dictionary<string, string> s_reasons = new(StringComparer.Ordinal)
    {
        ["attention_forward_short"] =
            "sm_120: one address is stored at the start and loaded twice for every four queries, outside the loops over channels and keys; "
            + "registers for it would cost the third block of a multiprocessor",
        ["prompt_attention_backward"] =
            "12 rows on sm_90a: one address is stored at the start and loaded once a tile, outside the loops that multiply; with registers for it "
            + "(153 in place of 128) one block would fit a multiprocessor, not two",
    };

    /// <summary>The entry points that may spill.</summary>
    public static IReadOnlyCollection<string> Entries => s_reasons.Keys;

    /// <summary>Why an entry point may spill; null where it may not.</summary>
    public static string? Reason(string entry) => s_reasons.GetValueOrDefault(entry);
}
