using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Optim;
using Dvp.Features;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Models.Tokenizers;
using Dvp.Prompting;
using Dvp.Tasks.Vqa;
using Dvp.Training;

namespace Dvp.Experiments;

/// <summary>Where an experiment finds its models and data.</summary>
/// <param name="LanguageModel">Hugging Face folder of the language model.</param>
/// <param name="VisionModel">Hugging Face folder of the visual encoder.</param>
/// <param name="Data">Data folder.</param>
public sealed record ExperimentPaths(string LanguageModel, string VisionModel, string Data)
{
    /// <summary>The layout of the sample: <c>language-model</c>, <c>vision-model</c> and <c>data</c> in one folder.</summary>
    public static ExperimentPaths InFolder(string folder) =>
        new(Path.Combine(folder, "language-model"), Path.Combine(folder, "vision-model"), Path.Combine(folder, "data"));
}

/// <summary>
/// A VQA data set with its features and a language model: what searching, training and evaluating on it have in common. The test split is
/// read when it is asked for and used for nothing but final numbers.
/// </summary>
public sealed class VqaExperiment : IDisposable
{
    private readonly BertTokenizer _tokenizer;
    private readonly FeatureStore _features;
    private readonly string _languageFingerprint;
    private readonly string _visionFingerprint;
    private readonly Dictionary<string, VqaTrainingData> _splits = new(StringComparer.Ordinal);

    private VqaExperiment(ExperimentPaths paths, Backend backend, Preset preset, VqaDataset data, FeatureStore features)
    {
        Paths = paths;
        Backend = backend;
        Preset = preset;
        Data = data;
        _features = features;
        _tokenizer = BertTokenizer.Load(paths.LanguageModel);
        Vocabulary = data.BuildVocabulary();
        Language = BertConfig.Load(paths.LanguageModel);
        using BertFolder folder = BertFolder.Open(paths.LanguageModel);
        _languageFingerprint = folder.Fingerprint();
        _visionFingerprint = ClipFolder.Fingerprint(paths.VisionModel);
    }

    /// <summary>Models and data.</summary>
    public ExperimentPaths Paths { get; }

    /// <summary>The device.</summary>
    public Backend Backend { get; }

    /// <summary>The recipe.</summary>
    public Preset Preset { get; }

    /// <summary>The data set.</summary>
    public VqaDataset Data { get; }

    /// <summary>The answers.</summary>
    public AnswerVocabulary Vocabulary { get; }

    /// <summary>Sizes of the language model.</summary>
    public BertConfig Language { get; }

    /// <summary>The pictures' visual tokens.</summary>
    public FeatureStore Features => _features;

    /// <summary>Opens data and models; the features are built unless a store that serves is there.</summary>
    /// <param name="paths">Models and data.</param>
    /// <param name="backend">The device.</param>
    /// <param name="preset">The recipe.</param>
    /// <param name="featureFolder">The feature store.</param>
    /// <param name="progress">Called with pictures done and all.</param>
    /// <exception cref="DvpException">A file is missing or damaged.</exception>
    public static VqaExperiment Open(
        ExperimentPaths paths, Backend backend, Preset preset, string featureFolder, Action<int, int>? progress = null)
    {
        VqaDataset data = VqaDataset.Open(paths.Data);
        List<string> pictures = [];
        foreach (string split in data.SplitNames)
        {
            VqaSplit read = data.Split(split);
            read.RequireImages();
            pictures.AddRange(read.Examples.Select(e => e.ImagePath));
        }

        using VisualEncoder encoder = VisualEncoder.Load(paths.VisionModel, backend);
        FeatureStore? store = null;
        if (Engine.IO.AtomicFolder.Exists(featureFolder))
        {
            store = FeatureStore.Open(featureFolder, paths.Data);
            if (!store.Serves(encoder, pictures))
            {
                store.Dispose();
                store = null;
            }
        }

        store ??= FeatureStore.Build(featureFolder, encoder, paths.Data, pictures, progress);
        return new VqaExperiment(paths, backend, preset, data, store);
    }

    /// <summary>A split, tokenised.</summary>
    /// <exception cref="DvpException">The data set has no such split.</exception>
    public VqaTrainingData Split(string name)
    {
        if (!_splits.TryGetValue(name, out VqaTrainingData? split))
        {
            split = VqaTrainingData.Prepare(Data.Split(name), Vocabulary, _tokenizer, _features, Preset.TextLength);
            _splits.Add(name, split);
        }

        return split;
    }

    /// <summary>What is trained on, and what is held out of it: the split <c>val</c>, or where the data has none a tenth of the pictures.</summary>
    public (TrainingSet Train, TrainingSet HeldOut) TrainAndHeldOut() => Data.HasSplit("val")
        ? (Split("train").Set, Split("val").Set)
        : Split("train").Set.HoldOut(0.1, Preset.Train.Seed);

    /// <summary>The configuration of a DVP for this language model, encoder and answers.</summary>
    /// <param name="kind">How the picture enters.</param>
    /// <param name="layer">K, or null for a search over all layers.</param>
    /// <param name="adapters">Whether the language model stays frozen around adapters.</param>
    public DvpConfig Configuration(PromptKind kind, int? layer, bool adapters) => new()
    {
        Layer = layer,
        SearchLayers = layer is null ? [.. Enumerable.Range(0, Language.Layers)] : null,
        Kind = kind,
        Prompt = new PromptConfig(Language.HiddenSize, Language.Heads, _features.Channels),
        Adapters = adapters ? new AdapterConfig(Math.Max(1, Language.HiddenSize / Preset.AdapterReduction)) : null,
        Head = new HeadConfig(2 * Language.HiddenSize, Vocabulary.Count),
        Loss = DvpLoss.BinaryCrossEntropy,
        TextLength = Preset.TextLength,
        Answers = Vocabulary.Answers,
        LanguageModelFingerprint = _languageFingerprint,
        VisionModelFingerprint = _visionFingerprint,
    };

    /// <summary>A fresh model to search with.</summary>
    public TrainedRun Searching() => Start(
        Configuration(PromptKind.Dynamic, null, Preset.SearchWithAdapters), TrainingMode.Search, Preset.Search);

    /// <summary>A fresh model to train at a layer.</summary>
    /// <param name="kind">How the picture enters.</param>
    /// <param name="layer">K</param>
    public TrainedRun Training(PromptKind kind, int layer) => Start(
        Configuration(kind, layer, adapters: true), kind == PromptKind.None ? TrainingMode.TextOnly : TrainingMode.Adapter, Preset.Train);

    /// <summary>A model to train with explicit configuration and settings.</summary>
    public TrainedRun Start(DvpConfig config, TrainingMode mode, TrainerSettings settings)
    {
        ParameterGroups groups = new(mode, config.Adapters is not null)
        {
            HeadMultiplier = settings.HeadMultiplier,
            PromptMultiplier = settings.PromptMultiplier,
            WeightDecay = settings.WeightDecay,
        };
        (TrainingSet train, TrainingSet heldOut) = TrainAndHeldOut();
        LoadedDvp model = LoadedDvp.Create(Paths.LanguageModel, config, Backend, new LoadOptions
        {
            Groups = groups,
            Initial = new InitialValues(settings.Seed, Preset.TypeDeviation),
        });
        return new TrainedRun(model, new Trainer(model.Model, model.Parameters, train, heldOut, settings, groups));
    }

    /// <inheritdoc/>
    public void Dispose() => _features.Dispose();
}

/// <summary>A model and its trainer.</summary>
/// <param name="Loaded">The model.</param>
/// <param name="Trainer">Its trainer.</param>
public sealed record TrainedRun(LoadedDvp Loaded, Trainer Trainer) : IDisposable
{
    /// <summary>Keeps the DVP of the best evaluation so far in a folder, beside the checkpoint of the last step.</summary>
    /// <param name="folder">A DVP folder; it is whole at any time.</param>
    public void KeepBest(string folder) => Trainer.OnBest = () => Loaded.Save(folder);

    /// <inheritdoc/>
    public void Dispose()
    {
        Trainer.Dispose();
        Loaded.Dispose();
    }
}
