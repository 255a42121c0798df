using System.Globalization;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Experiments;

/// <summary>The folder of a run: what was asked for, checkpoints, the trained DVP, results and report.</summary>
public sealed class RunFolder
{
    /// <summary>The file that says what was asked for.</summary>
    public const string ManifestName = "manifest.json";


    private RunFolder(string path) => Path = path;

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Checkpoint of a phase.</summary>
    public string Checkpoint(string phase) => System.IO.Path.Combine(Path, phase, "checkpoint");

    /// <summary>The DVP of the best evaluation of a phase.</summary>
    public string Best(string phase) => System.IO.Path.Combine(Path, phase, "best");

    /// <summary>The trained DVP.</summary>
    public string Dvp => System.IO.Path.Combine(Path, "dvp");

    /// <summary>A file in the folder.</summary>
    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>The first name that is free: the given one, or with a number behind it, so that earlier results stay.</summary>
    public static string Free(string path)
    {
        string chosen = path;
        for (int n = 2; Directory.Exists(chosen) && Directory.EnumerateFileSystemEntries(chosen).Any(); n++)
        {
            chosen = string.Create(CultureInfo.InvariantCulture, $"{path}-{n}");
        }

        return chosen;
    }

    /// <summary>Makes a folder for a new run; a name that is taken gets a number, see <see cref="Free"/>.</summary>
    public static RunFolder New(string path) => Make(Free(path));

    /// <summary>Opens the folder of a run to go on with.</summary>
    /// <exception cref="DvpException">There is no run.</exception>
    public static RunFolder Existing(string path) => Directory.Exists(path)
        ? new RunFolder(path)
        : throw new DvpException($"There is no run in {path} to resume; leave --resume out to start one.");

    /// <summary>Writes <c>manifest.json</c>: what must be known to run the same again.</summary>
    /// <param name="facts">Name and value, in order.</param>
    public void WriteManifest(IReadOnlyList<(string Name, string Value)> facts)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            foreach ((string name, string value) in facts)
            {
                json.WriteString(name, value);
            }

            json.WriteEndObject();
        }

        AtomicFile.WriteText(File(ManifestName), System.Text.Encoding.UTF8.GetString(stream.ToArray()) + "\n");
    }

    private static RunFolder Make(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"The run folder {path} cannot be made: {error.Message}", error);
        }

        return new RunFolder(path);
    }
}
