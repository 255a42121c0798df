using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Models.Bert;

/// <summary>A Hugging Face folder with a BERT model: configuration and weights under the encoder's own names.</summary>
public sealed class BertFolder : IDisposable
{
    private readonly WeightFiles _files;

    private BertFolder(string path, BertConfig config, WeightFiles files)
    {
        Path = path;
        Config = config;
        _files = files;
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Sizes.</summary>
    public BertConfig Config { get; }

    /// <summary>Whether the files hold the masked-language-model head beside the encoder.</summary>
    public bool HasMaskedLanguageModelHead => _files.Contains("cls.predictions.bias");

    /// <summary>Opens a folder.</summary>
    /// <exception cref="DvpException">Configuration or weights are missing or damaged.</exception>
    public static BertFolder Open(string path) => new(path, BertConfig.Load(path), WeightFiles.Open(path));

    /// <summary>
    /// The encoder's weights under names such as <c>encoder.layer.0.output.dense.weight</c>. Old files are understood: a leading <c>bert.</c>,
    /// norms called gamma and beta, the buffer of position ids; heads, and the pooler unless asked for, may be there.
    /// </summary>
    public TensorSource Encoder() => new(_files, WeightNames.Modern("bert."), ["cls.*", "pooler.*", "embeddings.position_ids"]);

    /// <summary>All weights of a masked language model, under the file's own names; the tied output matrix may be there.</summary>
    public TensorSource MaskedLanguageModel() => new(
        _files, null, ["cls.seq_relationship.*", "cls.predictions.decoder.*", "bert.pooler.*", "bert.embeddings.position_ids"]);

    /// <summary>A number for configuration and weights that a trained DVP is tied to.</summary>
    public string Fingerprint() => Engine.IO.Fingerprint.OfModel(Path);

    /// <inheritdoc/>
    public void Dispose() => _files.Dispose();
}
