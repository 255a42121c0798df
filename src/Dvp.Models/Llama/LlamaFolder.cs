using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Models.Llama;

/// <summary>A Hugging Face folder with a LLaMA model: configuration and weights.</summary>
public sealed class LlamaFolder : IDisposable
{
    private const string Embedding = "model.embed_tokens.weight";
    private const string Head = "lm_head.weight";
    private readonly WeightFiles _files;

    private LlamaFolder(string path, LlamaConfig config, WeightFiles files)
    {
        Path = path;
        Config = config;
        _files = files;
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Sizes.</summary>
    public LlamaConfig Config { get; }

    /// <summary>Opens a folder.</summary>
    /// <exception cref="DvpException">Configuration or weights are missing or damaged.</exception>
    public static LlamaFolder Open(string path) => new(path, LlamaConfig.Load(path), WeightFiles.Open(path));

    /// <summary>
    /// The weights under names such as <c>model.layers.0.self_attn.q_proj.weight</c>. The buffers of rotary frequencies that old files have
    /// may be there, and so may the head, which must be an equal copy where it is asked for and tied.
    /// </summary>
    /// <param name="languageModel">Whether the head is asked for.</param>
    public TensorSource Weights(bool languageModel = false) => new(
        _files,
        name => name != Head
            ? name.StartsWith("model.", StringComparison.Ordinal) ? name : "model." + name
            : languageModel && Config.Tied ? Embedding : name,
        ["model.layers.*.self_attn.rotary_emb.inv_freq", .. languageModel ? (string[])[] : [Head]]);

    /// <summary>A number for configuration and weights that a trained DVP is tied to.</summary>
    public string Fingerprint() => Engine.IO.Fingerprint.OfModel(Path);

    /// <inheritdoc/>
    public void Dispose() => _files.Dispose();
}
