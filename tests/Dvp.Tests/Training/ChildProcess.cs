using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using Dvp.Tests.Cli;

namespace Dvp.Tests.Training;

/// <summary>
/// Parts of tests that need a process of their own, to be killed or to be alone with the garbage collector: the test program started again
/// with an environment variable that names the part.
/// </summary>
internal sealed class ChildProcess : IDisposable
{
    private const string PartVariable = "DVP_TESTS_PART";
    /// <summary>The first line of every part.</summary>
    public const string Started = "started";

    private const string FolderVariable = "DVP_TESTS_FOLDER";
    private readonly Process _process;
    private readonly StringBuilder _errors = new();

    /// <summary>Starts a part.</summary>
    /// <param name="part">A key of the parts in <see cref="Parts"/>.</param>
    /// <param name="folder">What the part gets to work on.</param>
    /// <param name="environment">Variables that it gets besides; null for none.</param>
    public ChildProcess(string part, string folder, IReadOnlyDictionary<string, string>? environment = null)
    {
        string program = Environment.ProcessPath ?? throw new InvalidOperationException("The test program has no path.");
        ProcessStartInfo start = new(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
        {
            start.ArgumentList.Add(typeof(ChildProcess).Assembly.Location);
        }

        start.Environment[PartVariable] = part;
        start.Environment[FolderVariable] = folder;
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        _process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        _process.ErrorDataReceived += (_, line) => _errors.AppendLine(line.Data);
        _process.BeginErrorReadLine();
    }

    /// <summary>The parts: each gets its folder and may write lines for its parent.</summary>
    private static Dictionary<string, Action<string>> Parts => new(StringComparer.Ordinal)
    {
        ["train"] = ResumeTests.TrainToTheEnd,
        ["train-f16"] = ResumeTests.TrainInF16ToTheEnd,
        ["search"] = ResumeTests.SearchToTheEnd,
        ["allocations"] = AllocationTests.Measure,
        ["cubin-cache"] = Cuda.CubinCacheTests.FillReadAndEmpty,
        ["cuda-failures"] = CudaFailureTests.FailAndGoOn,
        ["command"] = CommandProcess.RunPart,
    };

    /// <summary>The next line that the part wrote; null when it has ended.</summary>
    public string? ReadLine() => _process.StandardOutput.ReadLine();

    /// <summary>Kills the process as <c>kill -9</c> does.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>Waits for the end and returns everything not yet read.</summary>
    public string Finish()
    {
        string rest = _process.StandardOutput.ReadToEnd();
        _process.WaitForExit();
        return _process.ExitCode == 0
            ? rest
            : throw new InvalidOperationException($"The process ended with {_process.ExitCode}: {rest}{_errors}");
    }

    public void Dispose() => _process.Dispose();

    /// <summary>In a started process, runs its part in place of the tests.</summary>
    [ModuleInitializer]
    internal static void RunPart()
    {
        if (Environment.GetEnvironmentVariable(PartVariable) is { } part)
        {
            Console.WriteLine(Started);
            Parts[part](Environment.GetEnvironmentVariable(FolderVariable)!);
            Environment.Exit(0);
        }
    }
}
