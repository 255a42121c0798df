using Dvp.Engine;
using Xunit;

namespace Dvp.Tests.Tasks;

/// <summary>Checks of messages that a user reads.</summary>
internal static class Errors
{
    /// <summary>The action throws one sentence that holds every part.</summary>
    public static void Contains(Action action, params string[] parts)
    {
        DvpException e = Assert.Throws<DvpException>(action);
        Assert.All(parts, p => Assert.Contains(p, e.Message));
        Assert.DoesNotContain('\n', e.Message);
    }
}

/// <summary>A folder that goes when the test ends.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("dvp-tests-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Writes a text file and gives its path.</summary>
    public string Write(string name, string text)
    {
        string path = File(name);
        System.IO.File.WriteAllText(path, text);
        return path;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
