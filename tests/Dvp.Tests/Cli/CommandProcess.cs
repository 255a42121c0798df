using System.Diagnostics;
using System.Globalization;
using Dvp.Cli;
using Dvp.Tests.Cuda;
using Dvp.Tests.IO;
using Dvp.Tests.Training;

namespace Dvp.Tests.Cli;

/// <summary>The tool in a process of its own, with its own environment: nothing is loaded, compiled or opened before.</summary>
internal static class CommandProcess
{
    private static readonly string[] s_files = ["arguments", "code", "out", "error", "libraries"];

    /// <summary>Variables that make <c>--device cuda</c> the kernel host; compiled kernels are shared with all other tests.</summary>
    public static Dictionary<string, string> OnKernelHost() => new(StringComparer.Ordinal)
    {
        ["DVP_CUDA_DRIVER"] = KernelHost.Folder,
        ["DVP_NVRTC"] = KernelHost.Folder,
        ["DVP_CACHE_DIR"] = CudaUnderTest.CacheRoot,
    };

    /// <summary>The same, or no variables where the tests run on the machine's GPU.</summary>
    public static Dictionary<string, string> OnCuda() => Machine.OnGpu ? [] : OnKernelHost();

    /// <summary>Runs a command.</summary>
    /// <param name="environment">Variables besides those of this process.</param>
    /// <param name="args">The arguments after the program's name.</param>
    public static ToolRun Run(IReadOnlyDictionary<string, string> environment, params string[] args) => Run(environment, out _, args);

    /// <summary>Runs a command.</summary>
    /// <param name="environment">Variables besides those of this process.</param>
    /// <param name="libraries">Files of the native libraries that were loaded at its end.</param>
    /// <param name="args">The arguments after the program's name.</param>
    public static ToolRun Run(IReadOnlyDictionary<string, string> environment, out IReadOnlyList<string> libraries, params string[] args)
    {
        using TemporaryFolder folder = new();
        string[] files = [.. s_files.Select(f => folder[f])];
        File.WriteAllLines(files[0], args);
        using ChildProcess process = new("command", folder.Root, environment);
        process.Finish();
        libraries = File.ReadAllLines(files[4]);
        return new ToolRun(int.Parse(File.ReadAllText(files[1]), CultureInfo.InvariantCulture), File.ReadAllText(files[2]), File.ReadAllText(files[3]));
    }

    /// <summary>The part that runs in the started process.</summary>
    internal static void RunPart(string folder)
    {
        string[] files = [.. s_files.Select(f => Path.Combine(folder, f))];
        int code;
        using (StreamWriter output = File.CreateText(files[2]), error = File.CreateText(files[3]))
        {
            code = Program.Run(File.ReadAllLines(files[0]), output, error);
        }

        File.WriteAllText(files[1], code.ToString(CultureInfo.InvariantCulture));
        File.WriteAllLines(files[4], Process.GetCurrentProcess().Modules.Cast<ProcessModule>().Select(m => m.FileName));
    }
}
