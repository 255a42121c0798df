using System.Runtime.InteropServices;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Search;

namespace Dvp.Training;

/// <summary>Where a run stands between two steps: with weights and moments beside it, all that the rest of the run depends on.</summary>
public sealed record RunState
{
    /// <summary>Optimiser steps done.</summary>
    public int Step { get; set; }

    /// <summary>Identity of the run: settings, model and examples.</summary>
    public required string Settings { get; init; }

    /// <summary>Best validation accuracy so far; negative before the first evaluation.</summary>
    public double BestAccuracy { get; set; } = -1;

    /// <summary>Step of the best validation accuracy.</summary>
    public int BestStep { get; set; }

    /// <summary>Evaluations since the best one.</summary>
    public int SinceBest { get; set; }

    /// <summary>Seconds spent so far, over all sittings.</summary>
    public double Seconds { get; set; }

    /// <summary>The loss scale, where the device computes in f16.</summary>
    public LossScaleState? LossScale { get; set; }

    /// <summary>Loss by step.</summary>
    public List<StepValue> Losses { get; init; } = [];

    /// <summary>Validation accuracy by step.</summary>
    public List<StepValue> Accuracies { get; init; } = [];

    /// <summary>State of the layer search, in a search run.</summary>
    public SearchState? Search { get; set; }

    /// <summary>Preferences (L numbers a step), in a search run.</summary>
    public List<double[]> Preferences { get; init; } = [];

    /// <summary>Layers drawn in each step, in a search run.</summary>
    public List<int[]> Arms { get; init; } = [];

    /// <summary>Their scores, in a search run.</summary>
    public List<double[]> Scores { get; init; } = [];
}

/// <summary>Writes and reads the state of a run: a folder that is always whole, whenever the process dies.</summary>
public static class Checkpoint
{
    private const string WeightsName = "state.safetensors";
    private const string StateName = "state.json";

    /// <summary>Saves weights, moments, update counts and state.</summary>
    /// <exception cref="DvpException">
    /// The disk is full or the folder cannot be written, or a weight is no number any more; what was there before stays.
    /// </exception>
    public static void Save(string folder, AdamWOptimizer optimizer, Backend backend, RunState state) =>
        Save(folder, optimizer, backend, state, afterFile: null);

    /// <summary>The same with a call after every file in the unfinished folder, so that tests can let the disk fail.</summary>
    internal static void Save(string folder, AdamWOptimizer optimizer, Backend backend, RunState state, Action<string>? afterFile) =>
        AtomicFolder.Write(folder, path =>
        {
            string weights = Path.Combine(path, WeightsName);
            SafetensorsWriter.Write(weights, Contents(optimizer, backend, state.Step));
            afterFile?.Invoke(weights);
            string json = Path.Combine(path, StateName);
            AtomicFile.WriteText(json, ToJson(optimizer, state));
            afterFile?.Invoke(json);
        });

    /// <summary>Restores what <c>Save</c> wrote, if there is anything.</summary>
    /// <param name="folder">The checkpoint folder.</param>
    /// <param name="optimizer">Receives moments and update counts; its parameters receive their values.</param>
    /// <param name="backend">The device.</param>
    /// <param name="settings">Identity of the settings of this run.</param>
    /// <returns>The state, or null where there is no checkpoint.</returns>
    /// <exception cref="DvpException">The checkpoint is damaged or of a run with other settings.</exception>
    public static RunState? Load(string folder, AdamWOptimizer optimizer, Backend backend, string settings)
    {
        if (!AtomicFolder.Exists(folder))
        {
            return null;
        }

        string path = AtomicFolder.Resolve(folder);
        ConfigFile json = ConfigFile.Load(Path.Combine(path, StateName));
        RunState state = FromJson(json);
        if (state.Settings != settings)
        {
            throw new DvpException(
                $"{folder} belongs to a run with {RunIdentity.Difference(state.Settings, settings)}; " +
                "give the same again, or another run folder.");
        }

        IReadOnlyList<int> updates = json.Integers("updates") ?? [];
        if (updates.Count != optimizer.Parameters.Count)
        {
            throw json.Error("updates", $"must hold {optimizer.Parameters.Count} counts, found {updates.Count}");
        }

        using SafetensorsFile file = new(Path.Combine(path, WeightsName));
        for (int i = 0; i < optimizer.Parameters.Count; i++)
        {
            Parameter parameter = optimizer.Parameters[i];
            (Tensor first, Tensor second) = optimizer.Moments(i);
            Restore(file, "value." + parameter.Name, parameter.Value, backend);
            Restore(file, "first_moment." + parameter.Name, first, backend);
            Restore(file, "second_moment." + parameter.Name, second, backend);
            parameter.Block.Touch();
        }

        optimizer.RestoreUpdateCounts([.. updates]);

        return state;
    }

    private static IEnumerable<TensorContent> Contents(AdamWOptimizer optimizer, Backend backend, int step)
    {
        for (int i = 0; i < optimizer.Parameters.Count; i++)
        {
            Parameter parameter = optimizer.Parameters[i];
            (Tensor first, Tensor second) = optimizer.Moments(i);
            TensorContent value = Content("value." + parameter.Name, parameter.Value, backend, out byte[] bytes);
            yield return parameter.Value.Type != ElementType.F32 || FirstNotFinite(bytes) < 0
                ? value
                : throw new DvpException(
                    $"Training made {parameter.Name} no number at step {step}, so it was not saved; " +
                    "lower the learning rate or clip gradients.");
            yield return Content("first_moment." + parameter.Name, first, backend);
            yield return Content("second_moment." + parameter.Name, second, backend);
        }
    }

    private static int FirstNotFinite(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(bytes);
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
            {
                return i;
            }
        }

        return -1;
    }

    private static TensorContent Content(string name, Tensor tensor, Backend backend) => Content(name, tensor, backend, out _);

    private static TensorContent Content(string name, Tensor tensor, Backend backend, out byte[] bytes)
    {
        bytes = new byte[tensor.Count * tensor.Type.Size()];
        backend.DownloadBytes(bytes, tensor);
        return TensorContent.FromBytes(name, tensor.Type, tensor.Shape, bytes);
    }

    private static void Restore(SafetensorsFile file, string name, Tensor tensor, Backend backend)
    {
        TensorEntry entry = file[name];
        if (entry.Type != tensor.Type || !entry.Shape.AsSpan().SequenceEqual(tensor.Shape))
        {
            throw new DvpException(
                $"{file.FilePath}: {name} is {entry}, and the model needs {tensor}; the checkpoint is of another model.");
        }

        backend.UploadBytes(tensor, file.Bytes(name));
    }

    private static string ToJson(AdamWOptimizer optimizer, RunState state)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            json.WriteNumber("format_version", 1);
            json.WriteString("settings", state.Settings);
            json.WriteNumber("step", state.Step);
            json.WriteNumber("best_accuracy", state.BestAccuracy);
            json.WriteNumber("best_step", state.BestStep);
            json.WriteNumber("since_best", state.SinceBest);
            json.WriteNumber("seconds", state.Seconds);
            if (state.LossScale is { } scaler)
            {
                json.WriteStartObject("scaler");
                json.WriteNumber("scale", scaler.Scale);
                json.WriteNumber("good_steps", scaler.GoodSteps);
                json.WriteNumber("skipped_steps", scaler.SkippedSteps);
                json.WriteEndObject();
            }

            WriteCurve(json, "losses", state.Losses);
            WriteCurve(json, "accuracies", state.Accuracies);
            json.WriteStartArray("updates");
            foreach (int count in optimizer.UpdateCounts())
            {
                json.WriteNumberValue(count);
            }

            json.WriteEndArray();
            if (state.Search is { } search)
            {
                json.WriteString("search", search.ToJson());
            }

            WriteLists(json, "preferences", state.Preferences, (writer, value) => writer.WriteNumberValue(value));
            WriteLists(json, "arms", state.Arms, (writer, value) => writer.WriteNumberValue(value));
            WriteLists(json, "scores", state.Scores, (writer, value) => writer.WriteNumberValue(value));
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }

    private static RunState FromJson(ConfigFile json) => new()
    {
        Settings = json.Text("settings"),
        Step = json.Int("step"),
        BestAccuracy = json.Number("best_accuracy"),
        BestStep = json.Int("best_step"),
        SinceBest = json.Int("since_best"),
        Seconds = json.Number("seconds"),
        LossScale = json.Section("scaler") is { } scaler ? ReadScaler(scaler) : null,
        Losses = ReadCurve(json, "losses"),
        Accuracies = ReadCurve(json, "accuracies"),
        Search = json.Has("search") ? SearchState.FromJson(json.Text("search")) : null,
        Preferences = ReadLists(json, "preferences", e => e.GetDouble()),
        Arms = ReadLists(json, "arms", e => e.GetInt32()),
        Scores = ReadLists(json, "scores", e => e.GetDouble()),
    };

    private static LossScaleState ReadScaler(ConfigFile json)
    {
        LossScaleState state = new((float)json.Number("scale"), json.Int("good_steps"), json.Int("skipped_steps"));
        return !float.IsFinite(state.Scale) || state.Scale <= 0 ? throw json.Error("scale", "must be a positive number")
            : state.GoodSteps < 0 ? throw json.Error("good_steps", "must not be negative")
            : state.SkippedSteps < 0 ? throw json.Error("skipped_steps", "must not be negative")
            : state;
    }

    private static void WriteCurve(Utf8JsonWriter json, string name, List<StepValue> points)
    {
        json.WriteStartArray(name);
        foreach (StepValue point in points)
        {
            json.WriteStartArray();
            json.WriteNumberValue(point.Step);
            json.WriteNumberValue(point.Value);
            json.WriteEndArray();
        }

        json.WriteEndArray();
    }

    private static void WriteLists<T>(Utf8JsonWriter json, string name, List<T[]> lists, Action<Utf8JsonWriter, T> write)
    {
        json.WriteStartArray(name);
        foreach (T[] list in lists)
        {
            json.WriteStartArray();
            foreach (T value in list)
            {
                write(json, value);
            }

            json.WriteEndArray();
        }

        json.WriteEndArray();
    }

    private static List<StepValue> ReadCurve(ConfigFile json, string name) =>
    [
        .. ReadLists(json, name, e => e.GetDouble()).Select(p => p.Length == 2
            ? new StepValue((int)p[0], p[1])
            : throw json.Error(name, "must hold pairs of step and value")),
    ];

    private static List<T[]> ReadLists<T>(ConfigFile json, string name, Func<JsonElement, T> read)
    {
        try
        {
            return json.Raw(name) is { } lists
                ? [.. lists.EnumerateArray().Select(list => list.EnumerateArray().Select(read).ToArray())]
                : [];
        }
        catch (Exception error) when (error is InvalidOperationException or FormatException)
        {
            throw json.Error(name, "must hold lists of numbers");
        }
    }
}
