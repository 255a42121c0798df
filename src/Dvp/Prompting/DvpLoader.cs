using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Models.Bert;

namespace Dvp.Prompting;

/// <summary>How a model is loaded.</summary>
public sealed record LoadOptions
{
    /// <summary>Which parameters train; null for inference, where nothing does.</summary>
    public ParameterGroups? Groups { get; init; }

    /// <summary>Initial values of a DVP part that no file gives.</summary>
    public InitialValues Initial { get; init; } = new(Seed: 1);

    /// <summary>Type in which frozen matrices are kept: F32, or BF16 or F16 for half the memory.</summary>
    public ElementType FrozenMatrices { get; init; } = ElementType.F32;

    /// <summary>Whether a DVP folder may be put onto a language model that it was not trained on.</summary>
    public bool Force { get; init; }
}

/// <summary>A DVP model with its parameters, loaded from a language model's folder and a DVP folder or fresh initial values.</summary>
public sealed class LoadedDvp : IDisposable
{
    private LoadedDvp(DvpBert model, ParameterSet parameters)
    {
        Model = model;
        Parameters = parameters;
    }

    /// <summary>The model.</summary>
    public DvpBert Model { get; }

    /// <summary>Its parameters.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>Loads a language model and a trained DVP.</summary>
    /// <exception cref="DvpException">A file is missing or damaged, or the DVP was trained on another language model.</exception>
    public static LoadedDvp Load(string languageModel, string dvpFolder, Backend backend, LoadOptions? options = null)
    {
        options ??= new LoadOptions();
        DvpConfig config = DvpConfig.Load(dvpFolder);
        using BertFolder folder = BertFolder.Open(languageModel);
        if (!options.Force && !string.IsNullOrEmpty(config.LanguageModelFingerprint))
        {
            string found = folder.Fingerprint();
            if (found != config.LanguageModelFingerprint)
            {
                throw new DvpException(
                    $"{dvpFolder} was trained on the language model {config.LanguageModelFingerprint}, and {languageModel} is {found}; give the model it was trained on, or --force.");
            }
        }

        using WeightFiles weights = WeightFiles.Open(Path.Combine(dvpFolder, DvpConfig.WeightsName), stem: "dvp");
        return Make(folder, config, backend, options, new TensorSource(weights, null, ["search.alphas"]));
    }

    /// <summary>Loads a language model and makes a fresh DVP part for it.</summary>
    /// <exception cref="DvpException">A file is missing or damaged, or the configuration does not fit the model.</exception>
    public static LoadedDvp Create(string languageModel, DvpConfig config, Backend backend, LoadOptions options)
    {
        using BertFolder folder = BertFolder.Open(languageModel);
        return Make(folder, config, backend, options, null);
    }

    /// <summary>
    /// Saves the DVP folder: configuration and what was trained (prompt, type embeddings, adapters, head, the language model's trained
    /// parameters under their own names). Either the whole new folder is there afterwards, or the old one.
    /// </summary>
    /// <param name="folder">The DVP folder.</param>
    /// <param name="config">The configuration to write; by default the model's own.</param>
    public void Save(string folder, DvpConfig? config = null)
    {
        config ??= Model.Config;
        AtomicFolder.Write(folder, path =>
        {
            SafetensorsWriter.Write(Path.Combine(path, DvpConfig.WeightsName), Saved().Select(Content));
            AtomicFile.WriteText(Path.Combine(path, DvpConfig.FileName), config.ToJson());
        });

        TensorContent Content(Parameter parameter)
        {
            float[] values = new float[parameter.Value.Count];
            Parameters.Backend.Download(values, parameter.Value);
            return TensorContent.FromFloats(parameter.Name, parameter.Value.Shape, values);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();

    private static LoadedDvp Make(BertFolder folder, DvpConfig config, Backend backend, LoadOptions options, TensorSource? dvp)
    {
        ParameterSet parameters = new(backend);
        try
        {
            TensorSource encoder = folder.Encoder();
            CheckpointValues values = dvp is null ? new CheckpointValues(encoder) : new CheckpointValues(dvp, encoder);
            ParameterBuilder builder = new(parameters, values, name => options.Groups?.Trains(name) ?? false)
            {
                FrozenMatrixType = options.FrozenMatrices,
            };

            // A DVP folder is whole: nothing of it may be left to chance.
            DvpBert model = new(config, folder.Config, builder, options.Initial);
            values.Finish(builder.Missing);
            return new LoadedDvp(model, parameters);
        }
        catch
        {
            parameters.Dispose();
            throw;
        }
    }

    private IEnumerable<Parameter> Saved() => Parameters.All.Where(p => p.Trains || !IsLanguageModel(p.Name));

    private static bool IsLanguageModel(string name) =>
        name.StartsWith("embeddings.", StringComparison.Ordinal) || name.StartsWith("encoder.", StringComparison.Ordinal);
}
