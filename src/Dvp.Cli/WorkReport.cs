using System.Globalization;
using System.Text.Json;
using Dvp.Engine.Optim;
using Dvp.Evaluation;
using Dvp.Reporting;
using Dvp.Training;

namespace Dvp.Cli;

/// <summary>What long work prints: progress, and at the end where the time and the memory went.</summary>
internal static class WorkReport
{
    /// <summary>One line on a training.</summary>
    public static string Progress(string phase, TrainingProgress p)
    {
        string accuracy = p.Accuracy is { } share
            ? string.Create(CultureInfo.InvariantCulture, $"  held-out accuracy {100 * share:0.0} %")
            : "";
        string scale = p.LossScale is { } state ? $"  loss scale {state}" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{phase}: step {p.Step}/{p.Steps}  loss {p.Loss:0.0000}  rate {p.Rate:0.0e+00}  {p.SamplesPerSecond:0} samples/s  ETA "
                + $"{Time(p.Remaining)}{accuracy}{scale}");
    }

    /// <summary>"91.2 % (89.5 to 92.8)".</summary>
    public static string Percent(Interval interval) =>
        string.Create(CultureInfo.InvariantCulture, $"{interval.Mean:0.0} % ({interval.Low:0.0} to {interval.High:0.0})");

    /// <summary>Minutes and seconds.</summary>
    public static string Time(TimeSpan time) => time.TotalHours >= 1
        ? time.ToString(@"h\:mm\:ss", CultureInfo.InvariantCulture)
        : time.ToString(@"m\:ss", CultureInfo.InvariantCulture);

    /// <summary>Seconds by phase and memory by kind.</summary>
    public static void Panel(CommandOutput output, IReadOnlyList<PhaseTime> phases, IReadOnlyList<MemoryUse> memory)
    {
        TextTable times = new("phase", ">seconds");
        foreach (PhaseTime phase in phases)
        {
            times.Row(phase.Name, Seconds(phase.Seconds));
        }

        output.Table(times.Row("total", Seconds(phases.Sum(p => p.Seconds))));
        output.Line();
        TextTable kinds = new("memory", ">MB");
        foreach (MemoryUse use in memory)
        {
            kinds.Row(use.Kind, (use.Bytes / 1e6).ToString("0.0", CultureInfo.InvariantCulture));
        }

        output.Table(kinds);
    }

    /// <summary>The same as properties "seconds" and "memory_bytes".</summary>
    public static void Write(Utf8JsonWriter json, IReadOnlyList<PhaseTime> phases, IReadOnlyList<MemoryUse> memory)
    {
        json.WriteStartObject("seconds");
        foreach (PhaseTime phase in phases)
        {
            json.WriteNumber(phase.Name, Math.Round(phase.Seconds, 3));
        }

        json.WriteEndObject();
        json.WriteStartObject("memory_bytes");
        foreach (MemoryUse use in memory)
        {
            json.WriteNumber(use.Kind, use.Bytes);
        }

        json.WriteEndObject();
    }

    /// <summary>Properties "loss_scale" and "skipped_steps", where the device computed in f16.</summary>
    public static void Write(Utf8JsonWriter json, LossScaleState? lossScale)
    {
        if (lossScale is { } state)
        {
            json.WriteNumber("loss_scale", state.Scale);
            json.WriteNumber("skipped_steps", state.SkippedSteps);
        }
    }

    /// <summary>A mean and its interval as two properties.</summary>
    public static void Write(Utf8JsonWriter json, string name, Interval interval)
    {
        json.WriteNumber(name, Math.Round(interval.Mean, 4));
        json.WriteStartArray(name + "_interval");
        json.WriteNumberValue(Math.Round(interval.Low, 4));
        json.WriteNumberValue(Math.Round(interval.High, 4));
        json.WriteEndArray();
    }

    private static string Seconds(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);
}
