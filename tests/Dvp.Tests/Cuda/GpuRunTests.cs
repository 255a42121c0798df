using System.Diagnostics;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>The run.sh of the GPU bundle (tools/gpu-run.sh) in a clean folder, with small scripts in the place of dvp and of the tests.</summary>
public sealed class GpuRunTests
{
    [Fact]
    public void Without_a_driver_it_says_so_and_ends_with_3()
    {
        using TemporaryFolder folder = new();
        Bundle(folder, "echo 'dvp: The CUDA driver cannot be loaded.' >&2; exit 3", "exit 0");
        (int code, string errors) = Run(folder);
        Assert.Equal(3, code);
        Assert.Contains("run.sh: no CUDA driver or GPU can be used here: dvp: The CUDA driver cannot be loaded.", errors);
        Assert.False(File.Exists(folder["results.md"]));
    }

    [Theory]
    [InlineData("exit 0", 0)]
    [InlineData("echo one test failed; exit 2", 1)]
    public void All_results_come_into_one_file_and_a_failure_is_told(string tests, int expected)
    {
        using TemporaryFolder folder = new();
        Bundle(folder, "echo \"dvp $*\"", $"echo \"device $DVP_TEST_GPU, required $DVP_REQUIRE, kernels $DVP_KERNELS_DIR\"; {tests}");
        Directory.CreateDirectory(folder["kernels"]);
        (int code, string errors) = Run(folder);
        string results = File.ReadAllText(folder["results.md"]);
        Assert.True(code == expected, errors + results);
        Assert.Contains("- commit: abc123", results);
        Assert.Contains("dvp doctor\n", results);
        Assert.Contains($"device 1, required cuda,cuda-device, kernels {folder.Root}/kernels", results);
        Assert.Contains("dvp bench --only ops --device cuda\n", results);
        Assert.Contains("dvp bench --only models --device cuda --batch 256\n", results);
        Assert.Contains("## With PyTorch", results);
        Assert.Equal(expected != 0, results.Contains("ended with an error", StringComparison.Ordinal));
    }

    private static void Bundle(TemporaryFolder folder, string dvp, string tests)
    {
        File.Copy(Path.Combine(Fixtures.RepositoryRoot, "tools", "gpu-run.sh"), folder["run.sh"]);
        File.WriteAllText(folder["commit.txt"], "abc123\n");
        foreach ((string name, string body) in new[] { ("dvp", dvp), ("Dvp.Tests", tests) })
        {
            File.WriteAllText(folder[name], $"#!/bin/sh\n{body}\n");
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(folder[name], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }
    }

    private static (int Code, string Errors) Run(TemporaryFolder folder)
    {
        ProcessStartInfo start = new("sh", [folder["run.sh"], folder["results.md"]]) { RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, errors);
    }
}
