using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace Dvp.Tests.Ops;

/// <summary>
/// The golden cases in processes whose runtime is told that the processor has fewer instructions than it has: the narrower paths of the
/// vectorised code are those that other people's machines take.
/// </summary>
[Requires(Capability.Jit)]
public sealed partial class CpuInstructionSetTests
{
    /// <summary>Settings of the runtime that take instructions away when they are 0.</summary>
    internal const string Avx2Setting = "DOTNET_EnableAVX2";

    /// <inheritdoc cref="Avx2Setting"/>
    internal const string VectorSetting = "DOTNET_EnableHWIntrinsic";

    [Theory]
    [InlineData("DOTNET_EnableAVX512")]
    [InlineData(Avx2Setting)]
    [InlineData(VectorSetting)]
    public async Task Golden_cases_hold_without(string setting)
    {
        ProcessStartInfo start = new(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("--filter-class");
        start.ArgumentList.Add(typeof(CpuGoldenOpTests).FullName!);
        start.Environment[setting] = "0";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, output + await errors);
        int succeeded = int.Parse(Succeeded().Match(output).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        Assert.Equal(GoldenOpTests.Cases.Count + 1, succeeded);
    }

    [GeneratedRegex(@"succeeded: (\d+)")]
    private static partial Regex Succeeded();
}
