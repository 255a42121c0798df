using Dvp.Engine.Autograd;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.Llama;

/// <summary>LLaMA (Touvron et al. 2023) in the parts that Dynamic Visual Prompting puts together: embedding, single layers, norm, head.</summary>
public sealed class LlamaModel
{
    private readonly ParameterBlock _words;
    private readonly ParameterBlock _norm;
    private readonly ParameterBlock? _head;
    private readonly LlamaLayer[] _layers;

    /// <summary>Makes the parameters of a model.</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="parameters">Names at the root of the checkpoint.</param>
    /// <param name="ownHead">Whether the language-model head is wanted and has a matrix of its own.</param>
    public LlamaModel(LlamaConfig config, ParameterBuilder parameters, bool ownHead = false)
    {
        Config = config;
        ParameterBuilder model = parameters["model"];
        _words = model.Table("embed_tokens.weight", config.VocabularySize, config.HiddenSize);
        _layers = new LlamaLayer[config.Layers];
        for (int i = 0; i < _layers.Length; i++)
        {
            _layers[i] = new LlamaLayer(config, model[$"layers.{i}"]);
        }

        _norm = model.Vector("norm.weight", config.HiddenSize);
        _head = ownHead ? parameters.Matrix("lm_head.weight", config.VocabularySize, config.HiddenSize) : null;
    }

    /// <summary>Sizes.</summary>
    public LlamaConfig Config { get; }

    /// <summary>The layers, first to last.</summary>
    public IReadOnlyList<LlamaLayer> Layers => _layers;

    /// <summary>Records the embedding.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="ids">I32 (B, T)</param>
    /// <returns>(B, T, C)</returns>
    public Variable Embed(Graph graph, Variable ids) =>
        graph.Stream(graph.Embedding(ids, _words, null, null, null, Config.PaddingId));

    /// <summary>The positions 0 to T - 1 of B sequences.</summary>
    public Rotation Positions(Graph graph, int batch, int tokens)
    {
        int[] positions = new int[batch * tokens];
        for (int i = 0; i < positions.Length; i++)
        {
            positions[i] = i % tokens;
        }

        return new Rotation(
            graph.Integers(positions, batch, tokens).Value, Config.Theta,
            Config.Scaling is { } scaling ? graph.Numbers(scaling.Frequencies(Config.HeadSize, Config.Theta)) : null);
    }

    /// <summary>Records the final norm.</summary>
    public Variable Finish(Graph graph, Variable h) => graph.RmsNorm(h, _norm, Config.NormEpsilon);

    /// <summary>Records the logits (B, T, vocabulary) of finished states.</summary>
    public Variable Logits(Graph graph, Variable h) => graph.Linear(h, _head ?? _words, null);
}
