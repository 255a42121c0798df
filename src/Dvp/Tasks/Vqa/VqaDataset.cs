using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Tasks.Vqa;

/// <summary>
/// A folder with a VQA data set: described by its <c>dataset.json</c>, or the published VQA v2.0 files under their own names.
/// JSON files may be plain, <c>.gz</c>, or inside a <c>.zip</c>; nothing is unpacked. Splits are read when asked for.
/// </summary>
public sealed class VqaDataset
{
    private static readonly (string Name, string Subtype)[] s_published =
        [("train", "train2014"), ("val", "val2014"), ("test", "test2015"), ("test-dev", "test-dev2015")];

    private static readonly string[] s_vocabularySplits = ["train", "val"];
    private readonly DatasetDescription _description;
    private readonly Dictionary<string, VqaSplit> _splits = new(StringComparer.Ordinal);

    private VqaDataset(string folder, DatasetDescription description)
    {
        (Folder, _description) = (folder, description);
    }

    /// <summary>The data folder.</summary>
    public string Folder { get; }

    /// <summary>How often an answer must be a majority answer to enter the vocabulary, unless the user says otherwise.</summary>
    public int MinAnswerCount => _description.MinAnswerCount;

    /// <summary>The names of the splits that the folder has.</summary>
    public IReadOnlyList<string> SplitNames => [.. _description.Splits.Select(s => s.Key)];

    /// <summary>Where <paramref name="split"/> is read from: its files, an archive's entry as <c>archive.zip/entry</c>.</summary>
    public IReadOnlyList<string> OriginsOf(string split)
    {
        SplitFiles files = Find(split);
        List<string> origins = [];
        foreach (string file in new[] { files.Questions, files.Annotations }.OfType<string>())
        {
            using InputStream stream = JsonInput.Open(Folder, file);
            origins.Add(stream.Origin);
        }

        return origins;
    }

    /// <summary>Opens a data folder; reads its description only.</summary>
    /// <exception cref="DvpException">No such folder, no data set in it, or one of another task.</exception>
    public static VqaDataset Open(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new DvpException($"The data folder {folder} does not exist.");
        }

        string file = Path.Combine(folder, DatasetDescription.FileName);
        DatasetDescription description = File.Exists(file) ? DatasetDescription.Read(file) : Published(folder);
        return description.Task == "vqa"
            ? new VqaDataset(folder, description)
            : throw new DvpException($"{file} describes a data set of the task \"{description.Task}\"; \"vqa\" was asked for.");
    }

    /// <summary>Whether the folder has a split of this name.</summary>
    public bool HasSplit(string name) => _description.Splits.Any(s => s.Key == name);

    /// <summary>Reads a split, the first time it is asked for.</summary>
    /// <exception cref="DvpException">No such split, or its files are missing, damaged or do not belong together.</exception>
    public VqaSplit Split(string name)
    {
        if (_splits.TryGetValue(name, out VqaSplit? known))
        {
            return known;
        }

        SplitFiles files = Find(name);
        using InputStream questions = JsonInput.Open(Folder, files.Questions);
        using InputStream? annotations = files.Annotations is null ? null : JsonInput.Open(Folder, files.Annotations);
        VqaSplit split = new VqaReader(questions.Origin, annotations?.Origin).Read(
            name, questions, annotations, subtype => Images(subtype, questions.Origin));
        _splits.Add(name, split);
        return split;
    }

    /// <summary>The vocabulary of this data set: from "train", then "val", as far as they have answers.</summary>
    /// <param name="minCount">How often an answer must be seen; null takes <see cref="MinAnswerCount"/>.</param>
    public AnswerVocabulary BuildVocabulary(int? minCount = null)
    {
        string[] names = [.. s_vocabularySplits.Where(HasSplit)];
        return names.Length == 0
            ? throw new DvpException($"The data set in {Folder} has neither a \"train\" nor a \"val\" split to take answers from.")
            : AnswerVocabulary.Build(names.Select(Split), minCount ?? MinAnswerCount);
    }

    private SplitFiles Find(string name)
    {
        foreach ((string key, SplitFiles files) in _description.Splits)
        {
            if (key == name)
            {
                return files;
            }
        }

        throw new DvpException($"The data set in {Folder} has no split \"{name}\"; it has {string.Join(", ", SplitNames)}.");
    }

    private ImageNames Images(string subtype, string file)
    {
        // The test-dev questions are a part of the test questions and share their pictures.
        string pictures = subtype == "test-dev2015" ? "test2015" : subtype;
        return new ImageNames(Folder, Path.Combine(_description.Images, _description.ImageName), pictures, file);
    }

    private static DatasetDescription Published(string folder)
    {
        List<KeyValuePair<string, SplitFiles>> splits = [];
        foreach ((string name, string subtype) in s_published)
        {
            string questions = $"v2_OpenEnded_mscoco_{subtype}_questions.json", annotations = $"v2_mscoco_{subtype}_annotations.json";
            if (JsonInput.Exists(Path.Combine(folder, questions)))
            {
                bool answered = JsonInput.Exists(Path.Combine(folder, annotations));
                splits.Add(KeyValuePair.Create(name, new SplitFiles(questions, answered ? annotations : null)));
            }
        }

        return splits.Count > 0
            ? new DatasetDescription { Task = "vqa", Images = "{subtype}", Splits = splits }
            : throw new DvpException($"{folder} holds no data set: neither a dataset.json nor VQA v2.0 files under their published "
                + "names (v2_OpenEnded_mscoco_train2014_questions.json and so on; .gz and .zip are read too).");
    }
}
