using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Dvp.Benchmarks;

/// <summary>Benchmarks of host code, which runs before and after the device. Kernels and operators have <c>dvp bench</c>.</summary>
internal static class Program
{
    private const string Short = "--short";

    /// <summary>Runs what BenchmarkDotNet's arguments choose; <c>--short</c> measures three times in place of until it is certain.</summary>
    private static void Main(string[] args)
    {
        // In this process: a project of its own for every benchmark would compile the whole library anew.
        Job job = (args.Contains(Short) ? Job.ShortRun : Job.Default).WithToolchain(InProcessEmitToolchain.Instance);
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(
            [.. args.Where(a => a != Short)], DefaultConfig.Instance.AddJob(job));
    }
}
