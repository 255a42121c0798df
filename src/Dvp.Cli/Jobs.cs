using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Dvp.Engine.Devices;
using Dvp.Experiments;

namespace Dvp.Cli;

/// <summary>What the commands of long work have in common.</summary>
internal static class Jobs
{
    /// <summary>The options of a search or training, with its progress going to the output.</summary>
    public static JobOptions Options(
        CommandOutput output, ExperimentOptions experiment, RecipeOptions recipe, RunOptions runs, ParseResult parse, string folder,
        Backend backend)
    {
        Preset preset = recipe.Recipe(parse);
        output.Note($"{backend.Name}; preset {preset.Name}; run folder {folder}");
        string phase = "";
        return new JobOptions
        {
            Paths = experiment.Paths(parse),
            Run = folder,
            Preset = preset,
            Resume = runs.Resumes(parse),
            Features = experiment.Features(parse),
            OnPhase = name => output.Progress(phase = name, important: true),
            OnPictures = OnPictures(output),
            OnProgress = p => output.Progress(WorkReport.Progress(phase, p), important: p.Accuracy is not null || p.Step == p.Steps),
        };
    }

    /// <summary>Progress of the encoding of pictures.</summary>
    public static Action<int, int> OnPictures(CommandOutput output)
    {
        long start = Stopwatch.GetTimestamp();
        return (done, all) =>
        {
            double rate = done / Math.Max(1e-9, Stopwatch.GetElapsedTime(start).TotalSeconds);
            output.Progress(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"features: {done}/{all} pictures  {rate:0} pictures/s  ETA "
                        + $"{WorkReport.Time(TimeSpan.FromSeconds((all - done) / rate))}"),
                important: done == all);
        };
    }
}
