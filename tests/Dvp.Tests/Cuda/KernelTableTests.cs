using System.Reflection;
using System.Text.RegularExpressions;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Tests.Ops;
using Dvp.Profiling;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>The table of kernels/README.md against the code: every operator and every kernel is in it, and all that it names is there.</summary>
public sealed partial class KernelTableTests
{
    // Members of Backend that move or give memory and launch no kernel.
    private static readonly string[] s_withoutKernel =
        ["Allocate", "Upload", "UploadBytes", "Download", "DownloadBytes", "Synchronize", "AttentionSavedElements"];

    private static readonly string[][] s_rows = [.. File.ReadLines(Path.Combine(Fixtures.RepositoryRoot, "kernels", "README.md"))
        .SkipWhile(line => !line.StartsWith("| operator |", StringComparison.Ordinal)).Skip(2)
        .TakeWhile(line => line.StartsWith('|'))
        .Select(line => line.Split('|', StringSplitOptions.TrimEntries)[1..^1])];

    [Fact]
    public void Every_operator_of_the_contract_is_listed()
    {
        string[] operators = [.. typeof(Backend).GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
            .Where(m => m.IsAbstract && !m.IsSpecialName && !s_withoutKernel.Contains(m.Name)).Select(m => m.Name).Distinct()];
        Assert.True(operators.Length > 30);
        string[] listed = [.. s_rows.SelectMany(row => Names(row[0])).Distinct()];
        Assert.Equal(operators.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_kernel_is_listed_once_with_its_file()
    {
        IEnumerable<string> kernels = KernelSources.Files.SelectMany(
            file => EntryPoint().Matches(KernelSources.Text(file + ".cu")).Select(m => $"{file}.cu: {m.Groups["name"].Value}"));
        IEnumerable<string> listed = s_rows.SelectMany(Kernels).Select(k => $"{k.File}: {k.Entry}");
        Assert.Equal(kernels.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_launcher_launches_the_kernels_of_its_row()
    {
        string[] wrong = [.. s_rows.SelectMany(row => Kernels(row)
            .Where(k => !Text($"src/Dvp.Engine/Devices/Cuda/CudaBackend.{Names(row[2]).Single()}.cs")
                .Contains($"(\"{k.Entry}\"", StringComparison.Ordinal))
            .Select(k => $"{row[2]} does not launch {k.Entry}"))];
        Assert.True(wrong.Length == 0, string.Join(Environment.NewLine, wrong));
    }

    [Fact]
    public void Every_path_on_the_processor_is_there()
    {
        Assert.All(s_rows.SelectMany(row => Names(row[3])), name => Assert.Contains(
            "partial class CpuBackend", Text($"src/Dvp.Engine/Devices/Cpu/CpuBackend.{name}.cs"), StringComparison.Ordinal));
    }

    [Fact]
    public void Every_row_has_a_test()
    {
        Assert.All(s_rows, row =>
        {
            string test = Tests(row);
            Assert.True(
                test.EndsWith(".cs", StringComparison.Ordinal)
                    ? Kernels(row).All(k => TestsOf(k.Entry, Text($"tests/Dvp.Tests/Cuda/{test}")))
                    : OpScenarios.All.Keys.Any(name => name.StartsWith(test, StringComparison.Ordinal)),
                $"{row[0]}: there is no test {test}");
        });
    }

    [Fact]
    public void Every_benchmark_is_a_row_of_the_bench()
    {
        string[] ops = [.. OpCases.All(new OpSizes(), [64], 2).Select(c => c.Op)];
        Assert.All(s_rows.SelectMany(row => Names(row[5])), name => Assert.Contains(name, ops));
    }

    private static string Tests(string[] row) => row[4].Trim('`');

    // A test file names the member that launches the kernel: top_k is TopK.
    private static bool TestsOf(string entry, string text) =>
        text.Contains($".{string.Concat(entry.Split('_').Select(w => char.ToUpperInvariant(w[0]) + w[1..]))}(", StringComparison.Ordinal);

    private static IEnumerable<(string File, string Entry)> Kernels(string[] row)
    {
        string file = "";
        foreach (string name in Names(row[1]))
        {
            if (name.EndsWith(".cu", StringComparison.Ordinal))
            {
                file = name;
            }
            else
            {
                yield return (file, name);
            }
        }
    }

    private static IEnumerable<string> Names(string cell) => Quoted().Matches(cell).Select(m => m.Groups["name"].Value);

    private static string Text(string path) => File.ReadAllText(Path.Combine(Fixtures.RepositoryRoot, path));

    [GeneratedRegex("`(?<name>[^`]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex("""extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(?<name>\w+)\s*\(""")]
    private static partial Regex EntryPoint();
}
