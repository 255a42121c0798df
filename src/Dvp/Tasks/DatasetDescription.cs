using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Tasks;

/// <summary>The files of one split.</summary>
/// <param name="Questions">The questions file: <c>.json</c>, <c>.json.gz</c>, or a <c>.zip</c> that holds it.</param>
/// <param name="Annotations">The annotations file, or null for a split without answers.</param>
public sealed record SplitFiles(string Questions, string? Annotations);

/// <summary>
/// What <c>dataset.json</c> says about a data folder. Fields: <c>task</c>; <c>images</c> (folder, default the data folder);
/// <c>image_name</c> (pattern, see <see cref="ImageNames"/>); <c>min_answer_count</c> (default 9); <c>splits</c>
/// {name: {<c>questions</c>, <c>annotations</c>}}. Paths are relative to the data folder.
/// </summary>
public sealed class DatasetDescription
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "dataset.json";

    /// <summary>The task: "vqa".</summary>
    public required string Task { get; init; }

    /// <summary>The folder of the pictures, relative to the data folder; may hold <c>{subtype}</c>.</summary>
    public string Images { get; init; } = "";

    /// <summary>The pattern of a picture's name.</summary>
    public string ImageName { get; init; } = "COCO_{subtype}_{id:012}.jpg";

    /// <summary>How often an answer must be a question's majority answer to enter the vocabulary.</summary>
    public int MinAnswerCount { get; init; } = 9;

    /// <summary>The splits in the file's order.</summary>
    public required IReadOnlyList<KeyValuePair<string, SplitFiles>> Splits { get; init; }

    /// <summary>Reads <paramref name="path"/>.</summary>
    /// <exception cref="DvpException">Not JSON, an unknown or missing field, or a value of the wrong kind.</exception>
    public static DatasetDescription Read(string path)
    {
        try
        {
            using Stream stream = JsonInput.Open(path);
            using JsonDocument document = JsonDocument.Parse(stream);
            return Parse(document.RootElement, path);
        }
        catch (JsonException e)
        {
            throw new DvpException($"{path} is not valid JSON: {e.Message}", e);
        }
    }

    private static DatasetDescription Parse(JsonElement root, string path)
    {
        RequireObject(root, path, "the whole");
        string? task = null, images = null, imageName = null;
        int minimum = 9;
        List<KeyValuePair<string, SplitFiles>> splits = [];
        foreach (JsonProperty field in root.EnumerateObject())
        {
            switch (field.Name)
            {
                case "task":
                    task = Text(field, path);
                    break;
                case "images":
                    images = Text(field, path);
                    break;
                case "image_name":
                    imageName = Text(field, path);
                    break;
                case "min_answer_count":
                    if (field.Value.ValueKind != JsonValueKind.Number || !field.Value.TryGetInt32(out minimum) || minimum < 1)
                    {
                        throw new DvpException($"{path}: \"min_answer_count\" must be a whole number of at least 1.");
                    }

                    break;
                case "splits":
                    RequireObject(field.Value, path, "\"splits\"");
                    splits.AddRange(field.Value.EnumerateObject().Select(s => KeyValuePair.Create(s.Name, Split(s, path))));
                    break;
                default:
                    throw new DvpException(
                        $"{path} has an unknown field \"{field.Name}\"; known are task, images, image_name, min_answer_count, splits.");
            }
        }

        return splits.Count == 0
            ? throw new DvpException(
                $"{path} names no splits; add \"splits\": {{\"train\": {{\"questions\": ..., \"annotations\": ...}}}}.")
            : new DatasetDescription
            {
                Task = task ?? throw new DvpException($"{path} has no \"task\"; add \"task\": \"vqa\"."),
                Images = images ?? "",
                ImageName = imageName ?? "COCO_{subtype}_{id:012}.jpg",
                MinAnswerCount = minimum,
                Splits = splits,
            };
    }

    private static SplitFiles Split(JsonProperty split, string path)
    {
        RequireObject(split.Value, path, $"split \"{split.Name}\"");
        string? questions = null, annotations = null;
        foreach (JsonProperty field in split.Value.EnumerateObject())
        {
            switch (field.Name)
            {
                case "questions":
                    questions = Text(field, path);
                    break;
                case "annotations":
                    annotations = field.Value.ValueKind == JsonValueKind.Null ? null : Text(field, path);
                    break;
                default:
                    throw new DvpException(
                        $"{path}: split \"{split.Name}\" has an unknown field \"{field.Name}\"; known are questions, annotations.");
            }
        }

        return questions is null
            ? throw new DvpException($"{path}: split \"{split.Name}\" has no \"questions\" file.")
            : new SplitFiles(questions, annotations);
    }

    private static string Text(JsonProperty field, string path) =>
        field.Value.ValueKind == JsonValueKind.String && field.Value.GetString() is { Length: > 0 } text
            ? text
            : throw new DvpException($"{path}: \"{field.Name}\" must be a text that is not empty.");

    private static void RequireObject(JsonElement element, string path, string what)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new DvpException($"{path}: {what} must be a JSON object.");
        }
    }
}
