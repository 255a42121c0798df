using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xunit;

namespace Dvp.Tests.Cli;

/// <summary>A training that is asked to end from outside, in a process of its own.</summary>
public sealed partial class InterruptionTests : IDisposable
{
    private const int Terminate = 15;
    private readonly TinyRun _tiny = new();

    public void Dispose() => _tiny.Dispose();

    [Fact]
    public async Task A_training_that_is_stopped_saves_and_goes_on_to_the_same_bits()
    {
        string[] settings = ["--layer", "1", "--steps", "120", "--batch", "4", "--evaluate-every", "0"];
        using Process process = Start([.. _tiny.Arguments("train", "stopped"), .. settings]);
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        while (
            await process.StandardOutput.ReadLineAsync(
                TestContext.Current.CancellationToken) is { } line && !line.StartsWith("train: step 10/", StringComparison.Ordinal))
        {
            Assert.DoesNotContain("step 120/120", line);
        }

        Assert.Equal(0, Kill(process.Id, Terminate));
        await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        string error = await errors;
        Assert.Equal(130, process.ExitCode);
        Assert.Contains("Stopping after this step and saving", error);
        Assert.Contains($"--run {_tiny["stopped"]} --resume", error);
        Assert.False(Directory.Exists(Path.Combine(_tiny["stopped"], "dvp")));

        ToolRun resumed = Tool.Run([.. _tiny.Arguments("train", "stopped"), .. settings, "--resume"]);
        Assert.True(resumed.Code == 0, resumed.Error);
        ToolRun whole = Tool.Run([.. _tiny.Arguments("train", "whole"), .. settings]);
        Assert.True(whole.Code == 0, whole.Error);
        Assert.Equal(Weights("whole"), Weights("stopped"));
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);

    private static Process Start(string[] arguments)
    {
        // A native build of the tests holds the tool; else it is a file beside them.
        bool native = !RuntimeFeature.IsDynamicCodeCompiled;
        string program = native
            ? Environment.ProcessPath!
            : Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
        ProcessStartInfo start = new(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(native ? "tool" : Path.Combine(AppContext.BaseDirectory, "Dvp.Cli.dll"));
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
    }

    private byte[] Weights(string run) => File.ReadAllBytes(Path.Combine(_tiny[run], "dvp", "dvp.safetensors"));
}
