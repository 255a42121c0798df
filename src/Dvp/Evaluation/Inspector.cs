using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Experiments;
using Dvp.Features;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Prompting;
using Dvp.Tasks;
using Dvp.Tasks.Vqa;

namespace Dvp.Evaluation;

/// <summary>What a file or folder holds.</summary>
public enum ContentKind
{
    /// <summary>Nothing that this program reads.</summary>
    Unknown,

    /// <summary>A Hugging Face folder with a language model.</summary>
    LanguageModel,

    /// <summary>A Hugging Face folder with a vision model.</summary>
    VisionModel,

    /// <summary>A folder with a trained DVP.</summary>
    Dvp,

    /// <summary>A safetensors file.</summary>
    Tensors,

    /// <summary>A folder with a data set.</summary>
    Data,

    /// <summary>A feature store.</summary>
    Features,

    /// <summary>The folder of a training run.</summary>
    Run,

    /// <summary>A picture.</summary>
    Picture,
}

/// <summary>One thing that an inspection found out.</summary>
/// <param name="Name">What.</param>
/// <param name="Value">Its value as text.</param>
public sealed record InspectionFact(string Name, string Value);

/// <summary>What a file or folder holds, and what is wrong with it.</summary>
/// <param name="Path">As it was given.</param>
/// <param name="Kind">What it holds.</param>
/// <param name="Title">The same in words.</param>
/// <param name="Facts">What was found out.</param>
/// <param name="Problems">One sentence for everything that is wrong; empty where all is well.</param>
public sealed record InspectionReport(
    string Path, ContentKind Kind, string Title, IReadOnlyList<InspectionFact> Facts, IReadOnlyList<string> Problems);

/// <summary>
/// Says what a file or folder holds and what is wrong with it: models are loaded as for use, every tensor is read, every picture of a data
/// set is looked for.
/// </summary>
public static partial class Inspector
{
    /// <summary>Inspects a file or folder.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="languageModel">For a DVP folder: the language model to check it against; null checks the folder alone.</param>
    /// <exception cref="DvpException">Nothing is at the path.</exception>
    public static InspectionReport Inspect(string path, string? languageModel = null)
    {
        Inspection inspection = new(path);
        if (Directory.Exists(path))
        {
            Folder(inspection, languageModel);
        }
        else if (File.Exists(path))
        {
            inspection.Try(() => OneFile(inspection));
        }
        else
        {
            throw new DvpException($"{path} does not exist.");
        }

        return inspection.Report();
    }

    private static void Folder(Inspection found, string? languageModel)
    {
        if (found.Has(DvpConfig.FileName))
        {
            found.Is(ContentKind.Dvp, "a trained DVP");
            found.Try(() => DvpFolder(found, languageModel));
        }
        else if (found.Has(FeatureStore.IndexName))
        {
            found.Is(ContentKind.Features, "a feature store");
            found.Try(() => FeatureFolder(found));
        }
        else if (found.Has(RunFolder.ManifestName))
        {
            found.Is(ContentKind.Run, "a run folder");
            found.Try(() => Run(found));
        }
        else if (found.Has("config.json"))
        {
            found.Try(() => ModelFolder(found));
        }
        else if (found.Has(DatasetDescription.FileName) || Directory.EnumerateFiles(found.Path, "v2_*").Any())
        {
            found.Is(ContentKind.Data, "a VQA data set");
            found.Try(() => DataFolder(found));
        }
        else
        {
            found.Problem($"{found.Path} is no folder that this program reads: it has no config.json (a model), "
                + $"{DvpConfig.FileName} (a DVP), {DatasetDescription.FileName} or VQA v2.0 files (data), "
                + $"{FeatureStore.IndexName} (features) or {RunFolder.ManifestName} (a run).");
        }
    }

    private static void ModelFolder(Inspection found)
    {
        string type = ConfigFile.Load(Path.Combine(found.Path, "config.json")).Text("model_type");
        found.Fact("model type", type);
        using CpuBackend backend = new(threads: 1);
        using ParameterSet parameters = new(backend);
        switch (type)
        {
            case "bert":
                found.Is(ContentKind.LanguageModel, "a BERT language model");
                LoadBert(found, parameters);
                if (found.Has("tokenizer.json") || found.Has("vocab.txt"))
                {
                    found.Try(() => Tokenizer(found));
                }

                break;
            case "t5":
                found.Is(ContentKind.LanguageModel, "a T5 language model");
                LoadT5(found, parameters);
                break;
            case "llama":
                found.Is(ContentKind.LanguageModel, "a LLaMA language model");
                LoadLlama(found, parameters);
                break;
            case "clip" or "clip_vision_model":
                found.Is(ContentKind.VisionModel, "a CLIP vision model");
                LoadClip(found, parameters);
                found.Try(() => PictureSettings(found));
                break;
            default:
                found.Problem($"{found.Path} is a {type} model; this program runs bert, t5, llama, clip and clip_vision_model.");
                return;
        }

        found.Fact("parameters", Count(parameters.All.Sum(p => p.Value.Count)));
    }

    private static void LoadBert(Inspection found, ParameterSet parameters)
    {
        using BertFolder folder = BertFolder.Open(found.Path);
        found.Fact("layers", Count(folder.Config.Layers));
        found.Fact("hidden size", Count(folder.Config.HiddenSize));
        found.Fact("vocabulary", Count(folder.Config.VocabularySize));
        found.Fact("fingerprint", folder.Fingerprint());
        CheckpointValues values = new(folder.Encoder());
        ParameterBuilder builder = new(parameters, values, _ => false);
        _ = new BertModel(folder.Config, builder);
        values.Finish(builder.Missing);
    }

    private static void LoadClip(Inspection found, ParameterSet parameters)
    {
        ClipVisionModel model = ClipFolder.Load(found.Path, parameters);
        found.Fact("layers", Count(model.Config.Layers));
        found.Fact("hidden size", Count(model.Config.HiddenSize));
        found.Fact("picture size", Count(model.Config.ImageSize));
        found.Fact("fingerprint", ClipFolder.Fingerprint(found.Path));
    }

    private static void DvpFolder(Inspection found, string? languageModel)
    {
        DvpConfig config = DvpConfig.Load(found.Path);
        found.Fact("language model type", config.LanguageModelType);
        found.Fact("insertion layer", config.Layer is { } layer ? Count(layer) : "not decided");
        found.Fact("prompt", config.Kind == PromptKind.None ? "none" : string.Create(
            CultureInfo.InvariantCulture,
            $"{config.Kind}, {config.Prompt.Prompts} of size {config.Prompt.HiddenSize}, {config.Prompt.Heads} heads"));
        found.Fact("adapters", config.Adapters is { } adapters ? Count(adapters.HiddenSize) : "none");
        found.Fact("labels", Count(config.Head.Labels));
        found.Fact("answers", config.Answers.Count == 0 ? "not recorded" : Count(config.Answers.Count));
        found.Fact("language model", Known(config.LanguageModelFingerprint));
        found.Fact("vision model", Known(config.VisionModelFingerprint));
        using (SafetensorsFile file = new(Path.Combine(found.Path, DvpConfig.WeightsName)))
        {
            Values(found, file);
        }

        if (languageModel is not null)
        {
            using CpuBackend backend = new(threads: 1);
            using LoadedDvp loaded = LoadedDvp.Load(languageModel, found.Path, backend);
            found.Fact("fits", languageModel);
        }
    }

    private static void DataFolder(Inspection found)
    {
        VqaDataset data = VqaDataset.Open(found.Path);
        foreach (string name in data.SplitNames)
        {
            found.Try(() =>
            {
                VqaSplit split = data.Split(name);
                int pictures = split.Examples.Select(e => e.ImageId).Distinct().Count();
                found.Fact(name, string.Create(
                    CultureInfo.InvariantCulture,
                    $"{split.Examples.Count} questions on {pictures} pictures, {(split.HasAnswers ? "with" : "without")} answers"));
                split.RequireImages();
            });
        }

        found.Try(() => found.Fact("answer vocabulary", string.Create(
            CultureInfo.InvariantCulture, $"{data.BuildVocabulary().Count} answers seen at least {data.MinAnswerCount} times")));
    }

    private static void OneFile(Inspection found)
    {
        byte[] head = new byte[16];
        using (FileStream stream = File.OpenRead(found.Path))
        {
            head = head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        }

        if (IsPicture(head))
        {
            found.Is(ContentKind.Picture, "a picture");
            Picture(found);
        }
        else if (found.Path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase) || head is [_, _, _, _, _, 0, 0, 0, (byte)'{', ..])
        {
            found.Is(ContentKind.Tensors, "a safetensors file");
            using SafetensorsFile file = new(found.Path);
            Values(found, file);
        }
        else
        {
            found.Problem($"{found.Path} is neither a safetensors file nor a picture (PNG, JPEG, GIF, BMP).");
        }
    }

    /// <summary>Lists the tensors and looks at every value.</summary>
    private static void Values(Inspection found, SafetensorsFile file)
    {
        found.Fact("tensors", Count(file.Names.Count));
        found.Fact("values", Count(file.Entries.Values.Sum(e => e.Count)));
        foreach (TensorEntry entry in file.Entries.Values)
        {
            found.Fact(entry.Name, $"{entry.Type} {TensorShape.Format(entry.Shape)}");
            if (entry.Type.IsFloat() && FirstNotFinite(file, entry) is { } place)
            {
                found.Problem(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{file.FilePath}: {entry.Name} holds a value that is no finite number at place {place}; "
                        + $"get the file again, or train again."));
            }
        }
    }

    private static long? FirstNotFinite(SafetensorsFile file, TensorEntry entry)
    {
        float[] part = new float[1 << 16];
        for (long start = 0; start < entry.Count; start += part.Length)
        {
            Span<float> values = part.AsSpan(0, (int)Math.Min(part.Length, entry.Count - start));
            file.ReadFloats(entry, start, values);
            for (int i = 0; i < values.Length; i++)
            {
                if (!float.IsFinite(values[i]))
                {
                    return start + i;
                }
            }
        }

        return null;
    }

    private static bool IsPicture(byte[] head) => head is [0x89, (byte)'P', (byte)'N', (byte)'G', ..] or [0xFF, 0xD8, 0xFF, ..]
        or [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..] or [(byte)'B', (byte)'M', ..];

    private static string Known(string? fingerprint) => string.IsNullOrEmpty(fingerprint) ? "not recorded" : fingerprint;

    private static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>An inspection under way.</summary>
    private sealed class Inspection(string path)
    {
        private readonly List<InspectionFact> _facts = [];
        private readonly List<string> _problems = [];
        private ContentKind _kind = ContentKind.Unknown;
        private string _title = "nothing that this program reads";

        public string Path { get; } = path;

        public bool Has(string name) => File.Exists(System.IO.Path.Combine(Path, name));

        public void Is(ContentKind kind, string title) => (_kind, _title) = (kind, title);

        public void Fact(string name, string value) => _facts.Add(new InspectionFact(name, value));

        public string? Value(string name) => _facts.Find(f => f.Name == name)?.Value;

        public void Problem(string sentence) => _problems.Add(sentence);

        /// <summary>Does a part; what is wrong with it is a problem, and other parts go on.</summary>
        public void Try(Action part)
        {
            try
            {
                part();
            }
            catch (DvpException e)
            {
                Problem(e.Message);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Problem($"{Path} cannot be read: {e.Message}");
            }
        }

        public InspectionReport Report() => new(Path, _kind, _title, _facts, _problems);
    }
}
