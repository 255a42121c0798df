using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Models.Bert;
using Dvp.Models.Llama;
using Dvp.Models.T5;

namespace Dvp.Prompting;

/// <summary>A Hugging Face folder of any of the language models: what a DVP model is made from.</summary>
internal sealed class LanguageModelFolder : IDisposable
{
    private readonly IDisposable _files;
    private readonly Func<DvpConfig, ParameterBuilder, InitialValues, DvpLanguageModel> _make;

    private LanguageModelFolder(
        string path, IDisposable files, TensorSource weights, Func<DvpConfig, ParameterBuilder, InitialValues, DvpLanguageModel> make)
    {
        Path = path;
        _files = files;
        Weights = weights;
        _make = make;
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The weights under the model's own names, without heads.</summary>
    public TensorSource Weights { get; }

    /// <summary>Opens the folder of a family.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="type">The family that the DVP is for.</param>
    /// <exception cref="DvpException">Configuration or weights are missing or damaged, or of another family.</exception>
    public static LanguageModelFolder Open(string path, string type)
    {
        string found = ConfigFile.Load(System.IO.Path.Combine(path, "config.json")).Text("model_type");
        if (found != type)
        {
            throw new DvpException($"The DVP is for a {type} model, and {path} is a {found} model; give the model that it was made for.");
        }

        switch (type)
        {
            case "t5":
                T5Folder t5 = T5Folder.Open(path);
                return new(path, t5, t5.Weights(), (config, builder, initial) => new DvpT5(config, t5.Config, builder, initial));
            case "llama":
                LlamaFolder llama = LlamaFolder.Open(path);
                return new(path, llama, llama.Weights(), (config, builder, initial) => new DvpLlama(config, llama.Config, builder, initial));
            default:
                BertFolder bert = BertFolder.Open(path);
                return new(path, bert, bert.Encoder(), (config, builder, initial) => new DvpBert(config, bert.Config, builder, initial));
        }
    }

    /// <summary>Makes the model with all of its parameters.</summary>
    public DvpLanguageModel Make(DvpConfig config, ParameterBuilder builder, InitialValues initial) => _make(config, builder, initial);

    /// <summary>A number for configuration and weights that a trained DVP is tied to.</summary>
    public string Fingerprint() => Engine.IO.Fingerprint.OfModel(Path);

    /// <inheritdoc/>
    public void Dispose() => _files.Dispose();
}
