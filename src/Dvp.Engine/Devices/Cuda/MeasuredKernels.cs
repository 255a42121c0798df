using System.Globalization;
using System.Text;
using Dvp.Cuda;
using Dvp.Engine.IO;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// What compilations were found to need, kept by the hash of everything that decides it, so that measuring all kernels again after a change
/// compiles only those that changed. A file has one line an entry point.
/// </summary>
/// <param name="folder">The folder; null keeps nothing.</param>
/// <param name="nvrtc">The compiler.</param>
internal sealed class MeasuredKernels(string? folder, Nvrtc nvrtc)
{
    /// <summary>The entry points of a variant for an architecture: from the folder, else compiled.</summary>
    public IReadOnlyList<CompiledEntry> Get(KernelVariant variant, string architecture)
    {
        string? path = folder is null ? null
            : Path.Combine(folder, KernelCompiler.Hash(
                [$"NVRTC {nvrtc.Version}", .. KernelCompiler.Options(variant, architecture), KernelResources.CompilerOption, .. KernelSources.TextsOf(variant.File)]));
        if (path is not null && Read(path, variant, architecture) is { } known)
        {
            return known;
        }

        NvrtcResult result = KernelCompiler.Compile(nvrtc, variant, architecture, KernelResources.CompilerOption);
        IReadOnlyDictionary<string, int> bounds = CubinFile.LaunchBounds(result.Code);
        CompiledEntry[] entries = [.. KernelResources.Parse(result.Log).Select(r => new CompiledEntry(
            variant, architecture, r, bounds.TryGetValue(r.Entry, out int threads) ? threads : null))];
        if (path is not null)
        {
            // A folder that cannot be written only costs the time of compiling.
            AtomicFile.Try(() =>
            {
                Directory.CreateDirectory(folder!);
                KernelImage.WriteWhole(path, Encoding.UTF8.GetBytes(string.Concat(entries.Select(Line))));
            });
        }

        return entries;
    }

    private static string Line(CompiledEntry e) => string.Create(
        CultureInfo.InvariantCulture,
        $"{e.Resources.Entry} {e.Resources.Registers} {e.Resources.SharedBytes} {e.Resources.StackBytes} {e.Resources.SpillStoreBytes} {e.Resources.SpillLoadBytes} {e.LaunchBounds ?? 0}\n");

    // Null where the file is missing, cannot be read, or is not what Line writes.
    private static CompiledEntry[]? Read(string path, KernelVariant variant, string architecture)
    {
        string[] lines = [];
        AtomicFile.Try(() => lines = File.Exists(path) ? File.ReadAllLines(path) : []);
        List<CompiledEntry> entries = [];
        foreach (string line in lines)
        {
            string[] words = line.Split(' ');
            int[] numbers = [.. words[1..].Select(w => int.TryParse(w, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1)];
            if (numbers.Length != 6 || numbers.Contains(-1))
            {
                return null;
            }

            KernelResources resources = new(words[0], numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]);
            entries.Add(new CompiledEntry(variant, architecture, resources, numbers[5] == 0 ? null : numbers[5]));
        }

        return entries.Count == 0 ? null : [.. entries];
    }
}
