using System.Diagnostics;
using Dvp.Tests.Cli;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>The scripts that measure PyTorch beside us: what works without PyTorch is run, the rest is compiled.</summary>
[Requires(Capability.Python)]
public sealed class PeerScriptTests
{
    private static readonly string s_folder = Path.Combine(Fixtures.RepositoryRoot, "benchmarks", "peers", "pytorch");

    [Fact]
    public void Every_script_compiles()
    {
        string[] scripts = Directory.GetFiles(s_folder, "*.py");
        Assert.Equal(5, scripts.Length);
        (int code, string text) = Python(["-c", "import ast, sys\nfor p in sys.argv[1:]: ast.parse(open(p).read(), p)", .. scripts]);
        Assert.True(code == 0, text);
    }

    [Fact]
    public void Every_operator_of_the_bench_has_its_peer()
    {
        string peers = File.ReadAllText(Path.Combine(s_folder, "ops.py"));
        Assert.All(
            Tool.Run("bench", "--only", "ops", "--list", "--json").Json.GetProperty("ops").EnumerateArray(),
            op => Assert.Contains($"\"{op.GetProperty("op").GetString()}\":", peers));
    }

    [Fact]
    public void Arguments_are_read_without_PyTorch()
    {
        (int code, string text) = Python(Path.Combine(s_folder, "compare.py"), "--help");
        Assert.True(code == 0, text);
        Assert.Contains("--skip-ours", text);
        Assert.NotEqual(0, Python(Path.Combine(s_folder, "compare.py"), "--device", "tpu").Code);
    }

    [Fact]
    public void The_table_joins_both_sides_by_operator_and_sizes()
    {
        const string Script = """
            import sys
            sys.path.insert(0, sys.argv[1])
            sys.dont_write_bytecode = True
            import table
            op = {"op": "copy", "sizes": {"rows": 2}, "bytes": 2e3, "flops": 1.0}
            row = lambda s, refused=None: {"op": "copy", "sizes": {"rows": 2}, "median_seconds": s, "refused": refused}
            ours = table.merge([[row(1e-5)], [row(2e-5)], [row(1e-5)], [row(0, "too fast")]])
            print(table.render([op], ours, {"eager": table.merge([[row(3e-5)]])}, (1e9, 1e12), ["device: none"]))
            refused = [[row(0, "it copied results to the host")]]
            print(table.render([op], table.merge(refused), {"eager": table.merge([[row(1e-6)]])}, (1e9, 1e12), [], table.refusals(refused)))
            """;
        (int code, string text) = Python("-B", "-c", Script, s_folder);
        Assert.True(code == 0, text);
        Assert.Contains("| copy rows=2 | 10.0 (100.0 %) | 20 | 30.0 (3.00) |", text);
        Assert.Contains("| copy rows=2 | refused: it copied results to the host |  | refused: 2.00 times the measured roofline: its time cannot be right |", text);
    }

    private static (int Code, string Text) Python(params string[] arguments)
    {
        ProcessStartInfo start = new(Machine.Python!, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.GetAwaiter().GetResult());
    }
}
