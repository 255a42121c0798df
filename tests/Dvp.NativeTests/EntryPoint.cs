namespace Dvp.NativeTests;

/// <summary>The tool, where the first argument says so, and else the tests: one file, since two would hold the same code twice.</summary>
internal static class EntryPoint
{
    private static int Main(string[] args) => args is ["tool", ..]
        ? Cli.Program.Run(args[1..], Console.Out, Console.Error, terminal: !Console.IsOutputRedirected)
        : new TestRun(Console.Out).Run(args);
}
