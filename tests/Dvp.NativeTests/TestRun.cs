using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.IO.Enumeration;

namespace Dvp.NativeTests;

/// <summary>
/// Runs the tests of Dvp.Tests in this process, classes beside each other, the tests of a class one after the other, as xunit.net does. Its own
/// runner needs files of assemblies, which a native program has not; attributes, data and assertions are xunit.net's.
/// </summary>
internal sealed class TestRun(TextWriter output)
{
    private const string Skipped = "$XunitDynamicSkip$"; // what Assert.Skip begins its message with
    private readonly Lock _lock = new();
    private int _failed;
    private int _succeeded;
    private int _skipped;

    /// <summary>Runs the tests that the arguments name, all without.</summary>
    /// <param name="args">--filter-class or --filter-method with patterns (* stands for any text), --list-tests.</param>
    /// <returns>0 where all passed, 2 where one failed, 8 where none was found, as the test platform has it; 5 for arguments that it does not know.</returns>
    public int Run(string[] args)
    {
        List<string> classes = [], methods = [];
        List<string>? patterns = null;
        bool list = false;
        foreach (string arg in args)
        {
            switch (arg)
            {
                case "--filter-class":
                    patterns = classes;
                    break;
                case "--filter-method":
                    patterns = methods;
                    break;
                case "--list-tests":
                    list = true;
                    break;
                default:
                    if (patterns is null || arg.StartsWith("--", StringComparison.Ordinal))
                    {
                        output.WriteLine($"{arg} is unknown: there are --filter-class, --filter-method, each with patterns, and --list-tests.");
                        return 5;
                    }

                    patterns.Add(arg);
                    break;
            }
        }

        bool Wanted(List<string> filters, string name) => filters.Count == 0 || filters.Exists(f => FileSystemName.MatchesSimpleExpression(f, name, ignoreCase: false));
        long started = Stopwatch.GetTimestamp();
        TestClass[] found = [.. TestClass.In(typeof(Tests.Fixtures).Assembly).Where(c => Wanted(classes, c.Type.FullName!))];
        Parallel.ForEach(
            Partition(found), new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount },
            c => RunClass(c, t => Wanted(methods, $"{c.Type.FullName}.{t.Method.Name}"), list));
        int total = _failed + _succeeded + _skipped;
        if (!list)
        {
            output.WriteLine($"\nTest run summary: {(_failed > 0 ? "Failed!" : total == 0 ? "Zero tests ran" : "Passed!")}");
            output.WriteLine($"  total: {total}\n  failed: {_failed}\n  succeeded: {_succeeded}\n  skipped: {_skipped}");
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  duration: {Stopwatch.GetElapsedTime(started).TotalSeconds:F1} s"));
        }

        return list ? 0 : _failed > 0 ? 2 : total == 0 ? 8 : 0;
    }

    /// <summary>One class at a time for each thread: their lengths differ too much to be handed out in groups.</summary>
    private static OrderablePartitioner<TestClass> Partition(TestClass[] classes) =>
        Partitioner.Create(classes, EnumerablePartitionerOptions.NoBuffering);

    private void RunClass(TestClass one, Predicate<TestCase> wanted, bool list)
    {
        object[]? fixtures = null;
        try
        {
            foreach (TestCase test in one.Cases())
            {
                if (!wanted(test))
                {
                    continue;
                }

                if (list)
                {
                    Say(test.Name);
                }
                else
                {
                    Note(test, () => one.Run(test, fixtures ??= one.MakeFixtures()));
                }
            }
        }
        catch (Exception e) // of a theory's data
        {
            Fail(one.Type.FullName!, e);
        }
        finally
        {
            foreach (object fixture in fixtures ?? [])
            {
                (fixture as IDisposable)?.Dispose();
            }
        }
    }

    private void Note(TestCase test, Action run)
    {
        try
        {
            run();
            Interlocked.Increment(ref _succeeded);
        }
        catch (Exception e) when (e.Message.StartsWith(Skipped, StringComparison.Ordinal))
        {
            Interlocked.Increment(ref _skipped);
            Say($"skipped {test.Name}\n  {e.Message[Skipped.Length..]}");
        }
        catch (Exception e)
        {
            Fail(test.Name, e);
        }
    }

    private void Fail(string name, Exception e)
    {
        Interlocked.Increment(ref _failed);
        Say($"failed {name}\n  {e}");
    }

    private void Say(string text)
    {
        lock (_lock)
        {
            output.WriteLine(text);
            output.Flush();
        }
    }
}
