using System.Diagnostics;
using System.Text.RegularExpressions;
using Dvp.Engine.Devices.Cpu;
using Xunit;

namespace Dvp.Tests.Ops.Cpu;

/// <summary>Reads the machine code of the innermost loops, as the just-in-time compiler prints it in a process of its own.</summary>
[Requires(Capability.Jit)]
public sealed partial class GemmCodeTests
{
    // A jump back to a label makes a loop of what lies between.
    [GeneratedRegex(@"^\s+(j[a-z]+|b\.?[a-z]*|cbn?z|tbn?z)\s+.*?(G_M\d+_IG\d+)")]
    private static partial Regex Jump { get; }

    [GeneratedRegex(@"^(G_M\d+_IG\d+):")]
    private static partial Regex Label { get; }

    [GeneratedRegex(@"^\s+(call|bl|blr)\s|\[(rsp|rbp|sp|fp)\b")]
    private static partial Regex CallOrStack { get; }

    [GeneratedRegex(@"^\s+(vfmadd|fmla|mulps|vmulps|fmul)")]
    private static partial Regex Arithmetic { get; }

    [Fact]
    public void Innermost_loops_keep_their_sums_in_registers_and_call_nothing()
    {
        // Threads that compile at the same moment mix their listings line by line; a real spill or call is in every listing.
        for (int attempt = 0; attempt < 3; attempt++)
        {
            try
            {
                CheckListing();
                return;
            }
            catch (Xunit.Sdk.XunitException) when (attempt < 2)
            {
            }
        }
    }

    private static void CheckListing()
    {
        string file = Path.GetTempFileName();
        try
        {
            var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
            start.ArgumentList.Add("--filter-method");
            start.ArgumentList.Add($"{typeof(GemmTests).FullName}.{nameof(GemmTests.A_steady_product_allocates_nothing)}");
            start.ArgumentList.Add("--filter-method");
            start.ArgumentList.Add(typeof(GemmStorageTests).FullName + ".Every_number_of_rows_meets_every_storage_type");
            start.Environment["DOTNET_JitDisasm"] = "Rows1 Rows2 Rows4 Rows6";
            start.Environment["DOTNET_JitStdOutFile"] = file;
            start.Environment["DOTNET_PROCESSOR_COUNT"] = "1";
            using (Process process = Process.Start(start)!)
            {
                process.OutputDataReceived += static (_, _) => { };
                process.BeginOutputReadLine();
                process.BeginErrorReadLine();
                Assert.True(process.WaitForExit(120_000), "The process with the printing compiler did not end.");
            }

            string type = CpuKernelKinds.Best switch
            {
                CpuKernelKind.Avx512 => nameof(Simd512),
                CpuKernelKind.Avx2 => nameof(Simd256),
                _ => nameof(SimdAny),
            };
            string[] methods = File.ReadAllText(file).Split("; Assembly listing for method ");
            foreach (string rows in new[] { "Rows1", "Rows2", "Rows4", "Rows6" })
            {
                string name = $"{rows}[Dvp.Engine.Devices.Cpu.{type}";
                string method = Assert.Single(methods, m => IsFor(m.Split('\n')[0], name));
                CheckLoops(method);
            }
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static bool IsFor(string signature, string method) =>
        signature.StartsWith("Dvp.Engine.Devices.Cpu.GemmTile:" + method, StringComparison.Ordinal)
        && signature.Contains(nameof(Float32Element), StringComparison.Ordinal);

    private static void CheckLoops(string method)
    {
        string[] lines = method.Split('\n');
        var labels = new Dictionary<string, int>();
        int found = 0;
        for (int i = 0; i < lines.Length; i++)
        {
            Match label = Label.Match(lines[i]);
            if (label.Success)
            {
                labels[label.Groups[1].Value] = i;
                continue;
            }

            Match jump = Jump.Match(lines[i]);
            if (jump.Success && labels.TryGetValue(jump.Groups[2].Value, out int start))
            {
                string[] loop = lines[start..i];
                Assert.Contains(loop, Arithmetic.IsMatch);
                Assert.DoesNotContain(loop, CallOrStack.IsMatch);
                found++;
            }
        }

        Assert.True(found > 0, "No loop in " + lines[0]);
    }
}
