using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Models.T5;

/// <summary>A Hugging Face folder with a T5 model: configuration and weights.</summary>
public sealed class T5Folder : IDisposable
{
    private const string Shared = "shared.weight";
    private const string Head = "lm_head.weight";
    private readonly WeightFiles _files;

    private T5Folder(string path, T5Config config, WeightFiles files)
    {
        Path = path;
        Config = config;
        _files = files;
        HasOwnHead = files.Contains(Head) && !(config.Tied && files.Contains(Shared) && files.AreEqual(Head, Shared));
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Sizes.</summary>
    public T5Config Config { get; }

    /// <summary>
    /// Whether the language-model head has a matrix of its own: the weights hold one, and it is not just a copy of the tied embedding.
    /// (Newer files say "tied" for every T5; the weights decide.)
    /// </summary>
    public bool HasOwnHead { get; }

    /// <summary>Opens a folder.</summary>
    /// <exception cref="DvpException">Configuration or weights are missing or damaged.</exception>
    public static T5Folder Open(string path) => new(path, T5Config.Load(path), WeightFiles.Open(path));

    /// <summary>
    /// The weights of encoder and decoder under names such as <c>decoder.block.0.layer.0.SelfAttention.q.weight</c>. The embedding may be
    /// there under the stacks' names as well, as equal copies; so may the head, unless it is asked for, and the position table that old
    /// files have in the first cross-attention and no model reads.
    /// </summary>
    /// <param name="languageModel">Whether the head is asked for.</param>
    public TensorSource Weights(bool languageModel = false) => new(
        _files,
        name => name is "encoder.embed_tokens.weight" or "decoder.embed_tokens.weight" || (name == Head && languageModel && !HasOwnHead)
            ? Shared
            : name,
        [
            "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
            .. languageModel ? (string[])[] : [Head],
        ]);

    /// <summary>A number for configuration and weights that a trained DVP is tied to.</summary>
    public string Fingerprint() => Engine.IO.Fingerprint.OfModel(Path);

    /// <inheritdoc/>
    public void Dispose() => _files.Dispose();
}
