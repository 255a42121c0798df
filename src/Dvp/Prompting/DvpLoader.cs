using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;

namespace Dvp.Prompting;

/// <summary>How a model is loaded.</summary>
public sealed record LoadOptions
{
    /// <summary>Which parameters train; null for inference, where nothing does.</summary>
    public ParameterGroups? Groups { get; init; }

    /// <summary>
    /// Parameters that stay frozen although <see cref="Groups"/> would train them, by full name; a layer's weight and bias, and the
    /// query, key and value of an attention, go together. Null for none.
    /// </summary>
    public Func<string, bool>? Frozen { get; init; }

    /// <summary>Initial values of a DVP part that no file gives.</summary>
    public InitialValues Initial { get; init; } = new(Seed: 1);

    /// <summary>Type in which frozen matrices are kept: F32, or BF16 or F16 for half the memory; null for the device's own choice.</summary>
    public ElementType? FrozenMatrices { get; init; }

    /// <summary>Whether a DVP folder may be put onto a language model that it was not trained on.</summary>
    public bool Force { get; init; }
}

/// <summary>A DVP model with its parameters, loaded from a language model's folder and a DVP folder or fresh initial values.</summary>
public sealed class LoadedDvp : IDisposable
{
    private static readonly string[] s_languageModel = ["embeddings.", "encoder.", "decoder.", "shared.", "model."];
    private readonly HashSet<string> _fromFolder;

    private LoadedDvp(DvpLanguageModel model, ParameterSet parameters, IEnumerable<string> fromFolder)
    {
        Model = model;
        Parameters = parameters;
        _fromFolder = [.. fromFolder];
    }

    /// <summary>The model.</summary>
    public DvpLanguageModel Model { get; }

    /// <summary>Its parameters.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>Loads a language model and a trained DVP.</summary>
    /// <exception cref="DvpException">A file is missing or damaged, or the DVP was trained on another language model.</exception>
    public static LoadedDvp Load(string languageModel, string dvpFolder, Backend backend, LoadOptions? options = null)
    {
        options ??= new LoadOptions();
        string whole = AtomicFolder.Resolve(dvpFolder);
        DvpConfig config = DvpConfig.Load(whole);
        using LanguageModelFolder folder = LanguageModelFolder.Open(languageModel, config.LanguageModelType);
        if (!options.Force && !string.IsNullOrEmpty(config.LanguageModelFingerprint))
        {
            string found = folder.Fingerprint();
            if (found != config.LanguageModelFingerprint)
            {
                throw new DvpException(
                    $"{dvpFolder} was trained on the language model {config.LanguageModelFingerprint}, and {languageModel} is {found}; " +
                    "give the model it was trained on, or --force.");
            }
        }

        using WeightFiles weights = WeightFiles.Open(whole, stem: "dvp");
        return Make(folder, config, backend, options, new TensorSource(weights, null, ["search.alphas"]), weights.Names);
    }

    /// <summary>Loads a language model and makes a fresh DVP part for it.</summary>
    /// <exception cref="DvpException">A file is missing or damaged, or the configuration does not fit the model.</exception>
    public static LoadedDvp Create(string languageModel, DvpConfig config, Backend backend, LoadOptions options)
    {
        using LanguageModelFolder folder = LanguageModelFolder.Open(languageModel, config.LanguageModelType);
        return Make(folder, config, backend, options, null, []);
    }

    /// <summary>
    /// Saves the DVP folder: configuration and what was trained (prompt, type embeddings, adapters, head, the language model's trained
    /// parameters under their own names). Either the whole new folder is there afterwards, or the old one.
    /// </summary>
    /// <param name="folder">The DVP folder.</param>
    /// <param name="config">The configuration to write; by default the model's own.</param>
    /// <exception cref="DvpException">The disk is full or the folder cannot be written; what was there before stays.</exception>
    public void Save(string folder, DvpConfig? config = null) => Save(folder, config, afterFile: null);

    /// <summary>The same with a call after every file in the unfinished folder, so that tests can let the disk fail.</summary>
    internal void Save(string folder, DvpConfig? config, Action<string>? afterFile) => AtomicFolder.Write(folder, path =>
    {
        string weights = Path.Combine(path, DvpConfig.WeightsName);
        SafetensorsWriter.Write(weights, Parameters.All.Where(IsSaved).Select(Content));
        afterFile?.Invoke(weights);
        string configuration = Path.Combine(path, DvpConfig.FileName);
        AtomicFile.WriteText(configuration, (config ?? Model.Config).ToJson());
        afterFile?.Invoke(configuration);
    });

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();

    private static LoadedDvp Make(
        LanguageModelFolder folder, DvpConfig config, Backend backend, LoadOptions options, TensorSource? dvp, IEnumerable<string> fromFolder)
    {
        ParameterSet parameters = new(backend);
        try
        {
            TensorSource language = folder.Weights;
            CheckpointValues values = dvp is null ? new CheckpointValues(language) : new CheckpointValues(dvp, language);
            ParameterBuilder builder = new(
                parameters, values, name => options.Groups is { } groups && groups.Trains(name) && options.Frozen?.Invoke(name) != true)
            {
                FrozenMatrixType = options.FrozenMatrices,
                IgnoreInitial = dvp is not null, // a DVP folder is whole: nothing of it is left to chance
            };
            DvpLanguageModel model = folder.Make(config, builder, options.Initial);
            foreach (string name in builder.Missing.Where(n => dvp is not null && !IsLanguageModel(n)))
            {
                dvp!.Required(name, -1);
            }

            values.Finish(builder.Missing.Where(IsLanguageModel));
            return new LoadedDvp(model, parameters, fromFolder);
        }
        catch
        {
            parameters.Dispose();
            throw;
        }
    }

    private static bool IsLanguageModel(string name) =>
        Array.Exists(s_languageModel, prefix => name.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>The DVP part, what trains, and what the loaded folder held beside that: a language model's trained norms.</summary>
    private bool IsSaved(Parameter parameter) =>
        parameter.Trains || !IsLanguageModel(parameter.Name) || _fromFolder.Contains(parameter.Name);

    private TensorContent Content(Parameter parameter)
    {
        float[] values = new float[parameter.Value.Count];
        Parameters.Backend.Download(values, parameter.Value);
        return TensorContent.FromFloats(parameter.Name, parameter.Value.Shape, values);
    }
}
